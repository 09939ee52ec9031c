"""What the losses and the heads need to know of the training targets."""

from __future__ import annotations

from pathlib import Path

from medmd.data._items import split_cases
from medmd.data._read import load_datalist
from medmd.data._records import TargetSpec
from medmd.utils import MedmdError

_MD_TAIL = -8.0
_TAIL_SHARE = 0.2


def target_statistics(
    path: str | Path, split: str = "training", *, tail_threshold: float | None = None
) -> dict[str, float | int]:
    """Mean, spread and tail of the known targets of one split.

    Args:
        path: the datalist.
        split: the list to describe; the training list, unless only a description is wanted.
        tail_threshold: targets below it are the long-tailed distribution's tail. By default -8 dB when the target is
            `md` in dB (a quarter of the eyes of UWHVF lie below it), otherwise the 20th percentile of the
            targets.

    Returns:
        `mean`, `std` and `variance` (population, so that MSE / (1 - R2) on this split equals `variance`), `count`
        and `tail_threshold`, in the target's unit.

    Raises:
        MedmdError: no such split, no known target in it, or a target that is a list (kind `multi`).
    """
    import numpy as np

    datalist = load_datalist(path)
    spec = datalist.header.target
    if spec.kind == "multi":
        msg = f"{Path(path).name}: expected a target of kind number or class, got multi: it has no single mean."
        raise MedmdError(msg)
    values = np.array([case.target for case in split_cases(datalist, split) if case.target is not None], dtype=float)
    if not len(values):
        msg = f"{Path(path).name}, {split}: expected at least one case with a known target, got none."
        raise MedmdError(msg)
    default = _MD_TAIL if _is_md(spec) else float(np.quantile(values, _TAIL_SHARE))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "variance": float(values.var()),
        "count": len(values),
        "tail_threshold": default if tail_threshold is None else float(tail_threshold),
    }


def _is_md(spec: TargetSpec) -> bool:
    return spec.name.lower() == "md" and spec.unit == "dB"
