"""Between which bounds the target of a datalist lies."""

from __future__ import annotations

from pathlib import Path

from medmd.data._read import load_datalist
from medmd.utils import MedmdError


def target_range(path: str | Path) -> dict[str, float]:
    """The range that the header allows: not the range of the labels, which another split would change.

    Args:
        path: the datalist.

    Returns:
        `low` and `high` in the target's unit; -40 and 6 dB for MD.

    Raises:
        MedmdError: the target is no single number.
    """
    spec = load_datalist(path).header.target
    if spec.kind != "number":
        msg = f"{Path(path).name}: expected a target of kind number, got {spec.kind}: it has no range to be divided."
        raise MedmdError(msg)
    low, high = spec.range
    return {"low": float(low), "high": float(high)}
