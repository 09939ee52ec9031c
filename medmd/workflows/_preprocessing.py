"""Preprocessing from plain data: transforms by name from a fixed list, nothing evaluated, nothing imported."""

from __future__ import annotations

from typing import Any

import monai.transforms
from monai.transforms import Compose, MapTransform, Randomizable

import medmd.transforms
from medmd.utils import MedmdError

# By name, not by prefix: below `monai.transforms` lie also modules that it imports, such as `os`; and some of its
# transforms import what a text names (LoadImage, TorchVision), write files (SaveImage) or run functions (Lambda).
_MONAI = (
    "AdjustContrastd", "CastToTyped", "CenterSpatialCropd", "DeleteItemsd", "EnsureChannelFirstd", "EnsureTyped",
    "Flipd", "GaussianSmoothd", "HistogramNormalized", "MedianSmoothd", "NormalizeIntensityd", "Orientationd",
    "RepeatChanneld", "ResizeWithPadOrCropd", "Resized", "Rotate90d", "ScaleIntensityRangePercentilesd",
    "ScaleIntensityRanged", "ScaleIntensityd", "SelectItemsd", "Spacingd", "SpatialPadd", "SqueezeDimd",
    "ThresholdIntensityd", "Transposed",
)  # fmt: skip


def _ours() -> dict[str, type[MapTransform]]:
    """All of our dictionary transforms that draw nothing at random."""
    found = {f"medmd.transforms.{name}": getattr(medmd.transforms, name) for name in medmd.transforms.__all__}
    return {name: kind for name, kind in found.items() if _is_deterministic(kind)}


def _is_deterministic(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, MapTransform) and not issubclass(kind, Randomizable)


TRANSFORMS: dict[str, type[MapTransform]] = {
    **{f"monai.transforms.{name}": getattr(monai.transforms, name) for name in _MONAI},
    **_ours(),
}
_LAST = "medmd.transforms.PackInputsd"
_WRONG_ARGUMENTS = (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError)


def build_preprocessing(description: list[dict[str, Any]]) -> Compose:
    """The transforms that a plain description names.

    Args:
        description: one object a transform: `_target_`, by full path, and its arguments as literals. The last one is
            `PackInputsd`.

    Raises:
        MedmdError: a transform that is not in the list, an expression or a reference, or arguments that a transform
            does not take.
    """
    check_preprocessing(description)
    return Compose([_build(entry, f"preprocessing#{place}") for place, entry in enumerate(description)])


def check_preprocessing(description: Any) -> None:
    """Refuse what `build_preprocessing` would not build, without building it.

    Raises:
        MedmdError: as there, arguments aside.
    """
    if not isinstance(description, list) or not description:
        msg = "preprocessing: expected a list of transforms."
        raise MedmdError(msg)
    for place, entry in enumerate(description):
        where = f"preprocessing#{place}"
        target = entry.get("_target_") if isinstance(entry, dict) else None
        if not isinstance(target, str) or target not in TRANSFORMS:
            msg = f"{where}: {target!r} cannot be handed over with a model. Expected one of {', '.join(TRANSFORMS)}."
            raise MedmdError(msg)
        _check_literal({name: value for name, value in entry.items() if name != "_target_"}, where)
    if description[-1]["_target_"] != _LAST:
        msg = f"preprocessing: the last transform must be {_LAST}, got {description[-1]['_target_']}."
        raise MedmdError(msg)


def _build(entry: dict[str, Any], where: str) -> MapTransform:
    arguments = {name: value for name, value in entry.items() if name != "_target_"}
    try:
        return TRANSFORMS[entry["_target_"]](**arguments)
    except _WRONG_ARGUMENTS as error:
        msg = f"{where} ({entry['_target_']}): {error}"
        raise MedmdError(msg) from error


def _check_literal(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, where)
            if name.startswith("_"):
                msg = f"{where}: the key {name!r} is not allowed here. Expected names of arguments."
                raise MedmdError(msg)
            _check_literal(item, f"{where}#{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check_literal(item, f"{where}#{place}")
    else:
        _check_text(value, where)


def _check_text(value: Any, where: str) -> None:
    if isinstance(value, str) and value[:1] in ("$", "@", "%"):
        msg = f"{where}: {value!r} is an expression or reference. Preprocessing is handed over as plain data."
        raise MedmdError(msg)
