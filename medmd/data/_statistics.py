"""What the losses and the heads need to know of the training targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.data._items import split_cases
from medmd.data._read import load_datalist
from medmd.data._records import TargetSpec
from medmd.utils import BOUNDARY_TOLERANCE, MedmdError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MD_TAIL = -8.0
_TAIL_SHARE = 0.2
_NO_SPREAD = 1e-6


def target_statistics(
    path: str | Path, split: str = "training", *, tail_threshold: float | None = None
) -> dict[str, Any]:
    """Mean, spread and tail of the known targets of one split, or how common each class is.

    Args:
        path: the datalist.
        split: the list to describe; the training list, unless only a description is wanted.
        tail_threshold: targets below it are the long-tailed distribution's tail. By default -8 dB when the target is
            `md` in dB (a quarter of the eyes of UWHVF lie below it), otherwise the 20th percentile of the
            targets.

    Returns:
        Of a number `mean`, `std` and `variance` (population, so that MSE / (1 - R2) on this split equals `variance`),
        `count`, `tail_threshold`, in the target's unit, and `start`, what untrained heads answer: the mean.

        Of a class `count`, `counts` and `frequencies` by class, and `start`, the frequencies when each class is counted
        once more, so that none is held for impossible.

        Of several tasks `count`, `tasks` (name of the task -> one of the above) and `start`, a list of theirs.

    Raises:
        MedmdError: no such split, no known target in it, or a target of kind `multi` that names no tasks.
    """
    datalist = load_datalist(path)
    spec = datalist.header.target
    known = [case.target for case in split_cases(datalist, split) if case.target is not None]
    where = f"{Path(path).name}, {split}"
    if not spec.tasks:
        return _describe(known, spec, where, tail_threshold)
    columns = {task.name: [row[place] for row in known] for place, task in enumerate(spec.tasks)}  # type: ignore[index]
    tasks = {
        task.name: _describe([value for value in columns[task.name] if value is not None], task, where, None)
        for task in spec.tasks
    }
    return {"count": len(known), "tasks": tasks, "start": [found["start"] for found in tasks.values()]}


def _describe(known: Sequence[Any], spec: TargetSpec, where: str, tail_threshold: float | None) -> dict[str, Any]:
    import numpy as np

    values = _as_vector(known, spec, where)
    if spec.kind == "class":
        classes = len(spec.class_names)
        counts = np.bincount(values.astype(int), minlength=classes)
        return {
            "count": len(values),
            "counts": counts.tolist(),
            "frequencies": (counts / len(values)).tolist(),
            "start": ((counts + 1) / (len(values) + classes)).tolist(),
        }
    default = _MD_TAIL if _is_md(spec) else float(np.quantile(values, _TAIL_SHARE))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "variance": float(values.var()),
        "count": len(values),
        "tail_threshold": default if tail_threshold is None else float(tail_threshold),
        "start": float(values.mean()),
    }


def vector_statistics(path: str | Path, name: str, split: str = "training") -> dict[str, list[float]]:
    """Mean and spread of each component of a vector over one split, which networks are given to standardise it.

    Args:
        path: the datalist.
        name: the input, of kind `vector`.
        split: the list to describe; the training list, so that nothing is learnt from those to test on.

    Returns:
        `mean` and `std` (population), in the vector's units. A component that does not vary has a `std` of 1.

    Raises:
        MedmdError: no such split, or no case in it with numbers for this input.
    """
    import numpy as np

    cases = split_cases(load_datalist(path), split)
    rows = [value for case in cases if (value := case.inputs.get(name)) is not None and not isinstance(value, str)]
    if not rows:
        msg = f"{Path(path).name}, {split}: expected at least one case with numbers for the input {name}, got none."
        raise MedmdError(msg)
    values = np.asarray(rows, dtype=np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    # What rounding leaves of equal values is no spread.
    flat = std <= _NO_SPREAD * np.maximum(np.abs(mean), 1.0)
    return {"mean": mean.tolist(), "std": np.where(flat, 1.0, std).tolist()}


def label_density(
    path: str | Path, split: str = "training", *, bin_width: float = 1.0, kernel_size: int = 5, sigma: float = 2.0
) -> dict[str, list[float]]:
    """How common each target is in one split: a histogram, smoothed (label distribution smoothing, LDS).

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021. The histogram is convolved with a Gaussian
    kernel that sums to 1; weights are taken from the smoothed density, where the authors' code takes the root before.

    Args:
        path: the datalist.
        split: the list to describe.
        bin_width: of the histogram, in the target's unit, above 0; a boundary is at 0. A bin holds its lower boundary,
            and what lies within a thousandth of the width below it.
        kernel_size: bins that the kernel spans, odd.
        sigma: of the kernel, in bins, above 0.

    Returns:
        `centres` of the bins from the lowest to the highest target, their `density`: smoothed numbers of cases, and
        `counts`: the numbers themselves.

    Raises:
        MedmdError: an argument is outside its range, or the target is no number, or as `target_statistics`.
    """
    import numpy as np

    if not (bin_width > 0 and sigma > 0 and kernel_size >= 1 and kernel_size % 2):
        found = f"{bin_width}, {sigma} and {kernel_size}"
        msg = f"bin_width, sigma, kernel_size: expected numbers above 0, the last odd; got {found}."
        raise MedmdError(msg)
    values = _known_numbers(path, split)
    bins = np.floor(values / bin_width + BOUNDARY_TOLERANCE).astype(int)
    counts = np.bincount(bins - bins.min())
    kernel = np.exp(-0.5 * (np.arange(kernel_size) - kernel_size // 2) ** 2 / sigma**2)
    density = np.convolve(counts, kernel / kernel.sum())[kernel_size // 2 :][: len(counts)]
    centres = (bins.min() + np.arange(len(counts)) + 0.5) * bin_width
    return {"centres": centres.tolist(), "density": density.tolist(), "counts": counts.tolist()}


def _known_numbers(path: str | Path, split: str) -> npt.NDArray[np.float64]:
    datalist = load_datalist(path)
    spec = datalist.header.target
    if spec.kind == "class":
        msg = f"{Path(path).name}: expected a target of kind number, got class: it has no density over a unit."
        raise MedmdError(msg)
    known = [case.target for case in split_cases(datalist, split) if case.target is not None]
    return _as_vector(known, spec, f"{Path(path).name}, {split}")


def _as_vector(known: Sequence[Any], spec: TargetSpec, where: str) -> npt.NDArray[np.float64]:
    import numpy as np

    if spec.kind == "multi":
        msg = f"{where}: expected a target of kind number or class, got multi: it has no single mean."
        raise MedmdError(msg)
    if not len(known):
        msg = f"{where}: expected at least one case with a known target, got none."
        raise MedmdError(msg)
    return np.array(known, dtype=float)


def _is_md(spec: TargetSpec) -> bool:
    return spec.name.lower() == "md" and spec.unit == "dB"
