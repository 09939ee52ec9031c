"""Left and right eyes brought to one orientation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal

from monai.data.meta_obj import get_track_meta
from monai.transforms import Flip, InvertibleTransform, MapTransform
from monai.utils import TraceKeys, convert_to_tensor, ensure_tuple_rep

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError

_EYES = ("R", "L")


class HarmonizeLateralityd(MapTransform, InvertibleTransform):
    """Mirror the eyes of one side so that nasal and temporal lie where they do in the other.

    A left eye is the mirror image of a right one across the vertical: only the along-scan axis of an OCT and the
    columns of a photograph change; depth, slices and rows stay. The item's laterality keeps its value, so subgroups can
    still be told apart (networks can tell L from R after the flip: PMC9200978).

    Args:
        keys: images to mirror, channel first.
        spatial_axis: the horizontal axis of each key, counted without the channel: 2 for an OCT (1, slices, depth,
            along-scan), 0 while it is still (1, along-scan, depth, slices), 1 for a photograph (3, rows, columns). One
            number serves all keys.
        laterality_key: where the item says `"R"` or `"L"`.
        flip: the side to mirror.
        missing: what to do without a laterality (absent or null): `"error"`, or `"keep"` the image as it is.
        allow_missing_keys: skip keys that the item does not have.

    Raises:
        ValueError: (constructor) an unknown `flip` or `missing`, or not one axis a key.
        MedmdError: (call) the laterality is absent (with `missing="error"`) or neither R nor L.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        spatial_axis: Sequence[int] | int,
        *,
        laterality_key: str = "laterality",
        flip: Literal["R", "L"] = "L",
        missing: Literal["error", "keep"] = "error",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if flip not in _EYES or missing not in ("error", "keep"):
            msg = f"flip must be 'R' or 'L' and missing 'error' or 'keep', got {flip!r} and {missing!r}"
            raise ValueError(msg)
        self.laterality_key = laterality_key
        self.flip = flip
        self.missing = missing
        self.flippers = [Flip(spatial_axis=axis) for axis in ensure_tuple_rep(spatial_axis, len(self.keys))]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Mirror every key when the eye is of the side to mirror."""
        item = dict(data)
        mirrored = self._laterality(item) == self.flip
        for key, flipper in self.key_iterator(item, self.flippers):
            image = convert_to_tensor(item[key], track_meta=get_track_meta())
            with flipper.trace_transform(False):
                item[key] = flipper(image) if mirrored else image
            self.push_transform(item[key], extra_info={"mirrored": mirrored})
        return item

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Mirror back what was mirrored, by the image's own record, not by the laterality in the item."""
        item = dict(data)
        for key, flipper in self.key_iterator(item, self.flippers):
            record = self.pop_transform(item[key])
            if record[TraceKeys.EXTRA_INFO]["mirrored"]:
                with flipper.trace_transform(False):
                    item[key] = flipper(item[key])
        return item

    def _laterality(self, item: Mapping[Hashable, Any]) -> str | None:
        value = item.get(self.laterality_key)
        if value in _EYES or (value is None and self.missing == "keep"):
            return value
        msg = (
            f"{case_name(item)}: {self.laterality_key!r} is {value!r}, expected 'R' or 'L'. State it in the datalist, "
            f"or give HarmonizeLateralityd missing='keep' to use eyes of unknown side as they are."
        )
        raise MedmdError(msg)
