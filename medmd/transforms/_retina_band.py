"""Where in depth the retina lies, and the crop that keeps it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import MetaTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, convert_to_tensor
from scipy.ndimage import gaussian_filter1d

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError

# Depths whose excess brightness reaches this share of the largest one count as retina; half is the usual width.
_SHARE_OF_PEAK = 0.5
# The profile is a mean over thousands of voxels: a real band stands out of a flat profile by far more than this share
# of the volume's own contrast; noise alone stays below it.
_SMALLEST_CONTRAST = 0.05


class RetinaBand(NamedTuple):
    """A window in depth: `height` voxels from `start` (negative when the scan is shorter than the window)."""

    start: int
    height: int
    found: bool


def find_retina_band(
    volume: np.ndarray, *, depth_axis: int, height: int, smoothing: float = 0.02, anchor: float = 0.5
) -> RetinaBand:
    """Find the window of `height` voxels in depth that holds the bright retina.

    The brightness above the scan's own background, averaged over all A-scans and smoothed, is a profile in depth; the
    window is laid around the centre of mass of its upper half. Values are clipped at the 99th percentile first so that
    specular reflections do not count more than tissue. Nothing is random and no layer is segmented, so tilt, a
    bowl-shaped retina or a weak signal move the window by little. A window inside the scan is preferred to one that
    pads.

    Args:
        volume: any number of axes, finite values, larger is brighter.
        depth_axis: the axis along depth.
        height: voxels to keep along depth.
        smoothing: standard deviation of the Gaussian, as a share of the depth.
        anchor: where in the window the centre of the band lies, 0 its first voxel, 1 its last.

    Returns:
        The window. `found` is False for a blank volume or one without a band; the window is then the central one.
    """
    depth = volume.shape[depth_axis]
    centre = _band_centre(_depth_profile(volume, depth_axis), smoothing * depth)
    if centre is None or depth <= height:
        return RetinaBand((depth - height) // 2, height, centre is not None)
    start = round(centre - anchor * (height - 1))
    return RetinaBand(min(max(start, 0), depth - height), height, found=True)


class CropRetinaBandd(MapTransform, InvertibleTransform):
    """Crop an OCT volume in depth to a fixed number of voxels around the retina.

    Every eye's retina comes to lie at about the same depth, and most of the vitreous and of the dark below is left out.
    The window is recorded as `<key>_retina_band` in the item: `start`, `height`, `found` (False: a blank scan,
    cropped at its centre).

    Args:
        keys: OCT volumes, channel first.
        depth_axis: the axis along depth, counted without the channel: 1 for (1, slices, depth, along-scan) and for
            (1, along-scan, depth, slices).
        height: voxels to keep along depth; a shorter scan is padded on both sides.
        smoothing: standard deviation of the profile's Gaussian, as a share of the depth.
        anchor: where in the window the centre of the band lies, 0 its first voxel, 1 its last. The default leaves more
            room above, where a tilted retina's nerve fibre layer would be lost first; below lies the choroid.
        fill: value of padded voxels.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        ValueError: (constructor) `height` below 1, a negative axis, or `anchor` outside [0, 1].
        MedmdError: (call) a volume holds NaN or infinity or has no such axis.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        *,
        height: int,
        depth_axis: int = 1,
        smoothing: float = 0.02,
        anchor: float = 0.6,
        fill: float = 0.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if height < 1 or depth_axis < 0 or not 0 <= anchor <= 1:
            msg = (
                f"CropRetinaBandd: expected height >= 1, depth_axis >= 0 and anchor in [0, 1], "
                f"got {height}, {depth_axis} and {anchor}"
            )
            raise ValueError(msg)
        self.height = height
        self.depth_axis = depth_axis
        self.smoothing = smoothing
        self.anchor = anchor
        self.fill = fill

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Crop every key around its own retina."""
        item = dict(data)
        for key in self.key_iterator(item):
            volume = convert_to_tensor(item[key], track_meta=get_track_meta())
            band = self._find(item, key, volume)
            item[key] = _window(volume, self.depth_axis + 1, band.start, self.height, self.fill)
            item[f"{key}_retina_band"] = band._asdict()
            size = tuple(volume.shape[1:])
            shift = _translation(len(size), self.depth_axis, band.start)
            self.push_transform(item[key], orig_size=size, affine=shift, extra_info={"start": band.start})
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Put the window back where it was cut; what was cut off is filled with `fill`."""
        item = dict(data)
        for key in self.key_iterator(item):
            record = self.pop_transform(item[key])
            start, size = record[TraceKeys.EXTRA_INFO]["start"], record[TraceKeys.ORIG_SIZE]
            restored = _window(item[key], self.depth_axis + 1, -start, int(size[self.depth_axis]), self.fill)
            item[key] = _moved(restored, _translation(len(size), self.depth_axis, -start))
        return item

    def _find(self, item: Mapping[Hashable, Any], key: Hashable, volume: torch.Tensor) -> RetinaBand:
        array = volume.detach().cpu().numpy()
        if array.ndim <= self.depth_axis + 1 or not np.isfinite(array.sum(dtype=np.float64)):
            msg = (
                f"{case_name(item)}: {key!r} with shape {array.shape} has no axis {self.depth_axis} after the channel, "
                f"or holds NaN or infinite values; expected a finite OCT volume."
            )
            raise MedmdError(msg)
        return find_retina_band(
            array, depth_axis=self.depth_axis + 1, height=self.height, smoothing=self.smoothing, anchor=self.anchor
        )


def _depth_profile(volume: np.ndarray, depth_axis: int) -> np.ndarray:
    """(depth,) mean brightness in units of the volume's 1st to 99th percentile; zeros for a constant volume."""
    low, high = np.percentile(volume, (1, 99))
    if high <= low:
        return np.zeros(volume.shape[depth_axis])
    others = tuple(axis for axis in range(volume.ndim) if axis != depth_axis)
    clipped = (np.clip(volume, low, high) - low) / (high - low)
    return clipped.mean(axis=others, dtype=np.float64)


def _band_centre(profile: np.ndarray, sigma: float) -> float | None:
    smooth = gaussian_filter1d(profile, sigma, mode="nearest") if sigma > 0 else profile
    excess = smooth - smooth.min()
    if excess.max() < _SMALLEST_CONTRAST:
        return None
    weights = np.clip(excess - _SHARE_OF_PEAK * excess.max(), 0, None)
    return float((weights * np.arange(len(weights))).sum() / weights.sum())


def _window(image: torch.Tensor, axis: int, start: int, length: int, fill: float) -> torch.Tensor:
    """`length` elements from `start` along `axis`; outside the image the value is `fill`."""
    size = image.shape[axis]
    begin, end = max(start, 0), max(min(start + length, size), 0)
    inner = image.narrow(axis, begin, end - begin)
    if end - begin == length:
        return inner.clone()
    shape = list(image.shape)
    shape[axis] = length
    framed = image.new_full(shape, fill)
    framed.narrow(axis, begin - start, end - begin).copy_(inner)
    return framed


def _moved(image: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    if isinstance(image, MetaTensor):
        image.affine = image.affine @ shift
    return image


def _translation(dimensions: int, axis: int, voxels: int) -> torch.Tensor:
    # MONAI's affines have three spatial axes whatever the image.
    matrix = torch.eye(max(dimensions, 3) + 1, dtype=torch.float64)
    matrix[axis, -1] = voxels
    return matrix
