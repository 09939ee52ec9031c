"""Local contrast of photographs: CLAHE and Ben-Graham's normalisation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import MapTransform, Transform
from monai.utils import convert_to_dst_type
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import equalize_adapthist

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError

_WHITE = 255.0
_MID_GREY = 128.0


class Clahe(Transform):
    """Contrast-limited adaptive histogram equalisation of the lightness (Zuiderveld, Graphics Gems IV, 1994).

    A colour photograph is equalised on L of CIELAB, so that its hues stay; a grey image directly. The computation is
    scikit-image's `equalize_adapthist`; exactly black pixels (the masked surround) stay black.

    Args:
        clip_limit: share of a tile's pixels that one histogram bin may hold, in (0, 1]; 0.01 is scikit-image's own
            default, larger is more contrast.
        tiles: tiles along each side; 8 is the usual grid.
    """

    def __init__(self, *, clip_limit: float = 0.01, tiles: int = 8) -> None:
        self.clip_limit = clip_limit
        self.tiles = tiles

    def __call__(self, image: Any) -> Any:
        """Enhance (3, rows, columns) or (1, rows, columns) in 0..255; the result has the same range and type."""
        pixels = _pixels(image) / _WHITE
        if pixels.shape[2] == 1:
            enhanced = self._equalise(pixels[..., 0])[..., None]
        else:
            lab = rgb2lab(pixels)
            lab[..., 0] = 100 * self._equalise(lab[..., 0] / 100)
            enhanced = lab2rgb(lab)
        surround = pixels.max(axis=2, keepdims=True) == 0
        return _like(np.where(surround, 0.0, enhanced * _WHITE), image)

    def _equalise(self, lightness: np.ndarray) -> np.ndarray:
        if lightness.min() == lightness.max():
            # Nothing to equalise; scikit-image would stretch rounding noise over the whole range.
            return lightness
        tile = [max(side // self.tiles, 1) for side in lightness.shape]
        return equalize_adapthist(np.clip(lightness, 0, 1), kernel_size=tile, clip_limit=self.clip_limit)


class BenGraham(Transform):
    """Subtraction of the local average: `gain * (image - blur) + 128`.

    The preprocessing of the winner of Kaggle's diabetic retinopathy challenge (Graham, "Kaggle Diabetic Retinopathy
    Detection competition report", 2015) with his constants: gain 4, blur of standard deviation radius / 30 (10 pixels
    at his radius of 300), mid-grey 128, and only the inner 0.9 of the radius kept, the rest mid-grey, because the blur
    makes a bright ring at the rim. The radius is half the image's shorter side: use it after `FitFundusCircled`.
    Deviation: values are clipped to 0..255 in floating point, not rounded.

    Args:
        gain: factor of the difference.
        sigma: standard deviation of the blur as a share of the radius.
        keep: share of the radius to keep, None for no mask (a crop around the disc).
    """

    def __init__(self, *, gain: float = 4.0, sigma: float = 1 / 30, keep: float | None = 0.9) -> None:
        self.gain = gain
        self.sigma = sigma
        self.keep = keep

    def __call__(self, image: Any) -> Any:
        """Enhance (channels, rows, columns) in 0..255; the result has the same range and type."""
        pixels = _pixels(image)
        radius = min(pixels.shape[:2]) / 2
        blurred = gaussian_filter(pixels, (self.sigma * radius, self.sigma * radius, 0), mode="nearest")
        enhanced = np.clip(self.gain * (pixels - blurred) + _MID_GREY, 0, _WHITE)
        if self.keep is not None:
            enhanced = np.where(_inner(pixels.shape[:2], self.keep * radius)[..., None], enhanced, _MID_GREY)
        return _like(enhanced, image)


class _Enhanced(MapTransform):
    """Dictionary form of a photograph's enhancement."""

    enhance: Transform

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Enhance every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            shape = tuple(item[key].shape)
            if len(shape) != 3 or shape[0] not in (1, 3):
                msg = (
                    f"{case_name(item)}: {key!r} has shape {shape}, expected (3, rows, columns) or (1, rows, columns)."
                )
                raise MedmdError(msg)
            item[key] = self.enhance(item[key])
        return item


class Clahed(_Enhanced):
    """Dictionary form of `Clahe`; values in 0..255.

    Args:
        keys: photographs (3 or 1, rows, columns).
        clip_limit: see `Clahe`.
        tiles: see `Clahe`.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        MedmdError: (call) an image is not (3 or 1, rows, columns).
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        *,
        clip_limit: float = 0.01,
        tiles: int = 8,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.enhance = Clahe(clip_limit=clip_limit, tiles=tiles)


class BenGrahamd(_Enhanced):
    """Dictionary form of `BenGraham`; values in 0..255.

    Args:
        keys: photographs (3 or 1, rows, columns).
        gain: see `BenGraham`.
        sigma: see `BenGraham`.
        keep: see `BenGraham`.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        MedmdError: (call) an image is not (3 or 1, rows, columns).
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        *,
        gain: float = 4.0,
        sigma: float = 1 / 30,
        keep: float | None = 0.9,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.enhance = BenGraham(gain=gain, sigma=sigma, keep=keep)


def _pixels(image: Any) -> np.ndarray:
    """(rows, columns, channels) float64."""
    return np.moveaxis(np.asarray(image, dtype=np.float64), 0, -1)


def _like(pixels: np.ndarray, image: Any) -> Any:
    channel_first = np.ascontiguousarray(np.moveaxis(pixels, -1, 0), dtype=np.float32)
    return convert_to_dst_type(channel_first, image, dtype=np.float32)[0]


def _inner(shape: tuple[int, ...], radius: float) -> np.ndarray:
    rows, columns = (np.arange(side) - (side - 1) / 2 for side in shape)
    return np.hypot(rows[:, None], columns[None, :]) <= radius
