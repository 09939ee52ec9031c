"""Fundus photographs brought to one size: the field of view fills a square."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.data.meta_obj import get_track_meta
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import TraceKeys, convert_to_tensor
from torch import Tensor
from torch.nn.functional import interpolate

from medmd.transforms._cases import case_name
from medmd.transforms._circle import FundusCircle, circle_mask, fit_fundus_circle
from medmd.utils import MedmdError


class FitFundusCircled(MapTransform, InvertibleTransform):
    """Find the circular field of view, blacken what is outside, and bring its bounding square to `size` x `size`.

    Outside the circle there is no retina, but often compression noise or burned-in text. Where the photograph has
    no visible circle (a crop around the disc) nothing is masked: the shorter side is padded to a square and resized.
    The circle is recorded as `<key>_circle` in the item: `row`, `column`, `radius` in pixels of the photograph as it
    was (for an absent circle those of the square) and `found`.

    Args:
        keys: photographs (channels, rows, columns), values >= 0, black surround near 0.
        size: rows and columns of the result in pixels.
        mask: blacken outside the circle.
        shrink: the part of the radius that is kept; below 1 it cuts the rim, whose brightness is an artefact.
        fill: value outside the circle and the photograph.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        ValueError: (constructor) `size` below 1 or `shrink` outside (0, 1].
        MedmdError: (call) an image is not (channels, rows, columns).
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        *,
        size: int,
        mask: bool = True,
        shrink: float = 1.0,
        fill: float = 0.0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if size < 1 or not 0 < shrink <= 1:
            msg = f"FitFundusCircled: expected size >= 1 and shrink in (0, 1], got {size} and {shrink}"
            raise ValueError(msg)
        self.size = size
        self.mask = mask
        self.shrink = shrink
        self.fill = fill

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Square every key around its own circle."""
        item = dict(data)
        for key in self.key_iterator(item):
            image = convert_to_tensor(item[key], track_meta=get_track_meta(), dtype=torch.float32)
            if image.ndim != 3:
                msg = f"{case_name(item)}: {key!r} has shape {tuple(image.shape)}, expected (channels, rows, columns)."
                raise MedmdError(msg)
            circle = fit_fundus_circle(image.as_subclass(Tensor).numpy())
            item[f"{key}_circle"] = _record(circle, image)
            box = _box(circle, image, self.shrink)
            item[key] = self._square(image, circle, box)
            self.push_transform(item[key], orig_size=tuple(image.shape[1:]), extra_info={"box": list(box)})
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Put the square back into a photograph of the first size (lost detail stays lost, outside is `fill`)."""
        item = dict(data)
        for key in self.key_iterator(item):
            record = self.pop_transform(item[key])
            (top, left, side), size = record[TraceKeys.EXTRA_INFO]["box"], record[TraceKeys.ORIG_SIZE]
            square = _resize(item[key], side)
            item[key] = _cut(square, -top, -left, (int(size[0]), int(size[1])), self.fill)
        return item

    def _square(self, image: Tensor, circle: FundusCircle | None, box: tuple[int, int, int]) -> Tensor:
        if circle is not None and self.mask:
            kept = circle._replace(radius=circle.radius * self.shrink)
            inside = torch.from_numpy(circle_mask(kept, (image.shape[1], image.shape[2])))
            image = torch.where(inside, image, self.fill)
        top, left, side = box
        return _resize(_cut(image, top, left, (side, side), self.fill), self.size)


def _record(circle: FundusCircle | None, image: Tensor) -> dict[str, Any]:
    rows, columns = image.shape[1:]
    shown = circle or FundusCircle((rows - 1) / 2, (columns - 1) / 2, max(rows, columns) / 2)
    return {**shown._asdict(), "found": circle is not None}


def _box(circle: FundusCircle | None, image: Tensor, shrink: float) -> tuple[int, int, int]:
    """Top, left and side of the square to cut, in whole pixels; it may reach beyond the photograph."""
    rows, columns = image.shape[1:]
    if circle is None:
        side = max(rows, columns)
        return (rows - side) // 2, (columns - side) // 2, side
    # Resampling to the half pixel would blur the image for a shift that no network minds.
    side = max(math.ceil(2 * circle.radius * shrink), 1)
    return round(circle.row - (side - 1) / 2), round(circle.column - (side - 1) / 2), side


def _cut(image: Tensor, top: int, left: int, shape: tuple[int, int], fill: float) -> Tensor:
    """Rows from `top`, columns from `left`; `fill` where that lies outside the image."""
    framed = image.new_full((image.shape[0], *shape), fill)
    rows, columns = (_overlap(*each) for each in ((top, shape[0], image.shape[1]), (left, shape[1], image.shape[2])))
    framed[:, rows[0], columns[0]] = image[:, rows[1], columns[1]]
    return framed


def _overlap(start: int, length: int, size: int) -> tuple[slice, slice]:
    begin, end = max(start, 0), max(min(start + length, size), max(start, 0))
    return slice(begin - start, end - start), slice(begin, end)


def _resize(image: Tensor, side: int) -> Tensor:
    if image.shape[1:] == (side, side):
        return image
    return interpolate(image[None], size=(side, side), mode="bilinear", antialias=True)[0]
