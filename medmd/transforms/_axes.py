"""The order of an OCT's axes: as stored on disk, and as networks and augmentations expect it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import convert_to_tensor

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError


class OctToSlicesFirstd(MapTransform, InvertibleTransform):
    """Reverse the three spatial axes: (1, along-scan, depth, slices) -> (1, slices, depth, along-scan).

    A slice is then what a reader looks at: rows run down into the eye, columns along the scan. Nothing is mirrored. The
    columns of the affine are exchanged with the axes (MONAI's `Transposed` leaves the affine as it was).

    Args:
        keys: OCT volumes.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        MedmdError: (call) an image has not four axes.
    """

    def __init__(self, keys: Sequence[str] | str, *, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Reverse the axes of every key."""
        item = dict(data)
        for key in self.key_iterator(item):
            volume = convert_to_tensor(item[key], track_meta=get_track_meta())
            if volume.ndim != 4:
                msg = f"{case_name(item)}: {key!r} has shape {tuple(volume.shape)}, expected (1, x, depth, slices)."
                raise MedmdError(msg)
            item[key] = _reverse(volume)
            self.push_transform(item[key], orig_size=tuple(volume.shape[1:]))
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Reverse the axes again, which is how they were."""
        item = dict(data)
        for key in self.key_iterator(item):
            self.pop_transform(item[key])
            item[key] = _reverse(item[key])
        return item


def _reverse(volume: torch.Tensor) -> torch.Tensor:
    turned = volume.permute(0, 3, 2, 1).contiguous()
    if isinstance(turned, MetaTensor):
        turned.affine = turned.affine[:, [2, 1, 0, 3]]
    return turned
