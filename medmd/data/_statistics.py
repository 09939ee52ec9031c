"""What the losses and the heads need to know of the training targets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medmd.data._items import split_cases
from medmd.data._read import load_datalist
from medmd.data._records import TargetSpec
from medmd.utils import MedmdError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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

    values, spec = _known_targets(path, split)
    default = _MD_TAIL if _is_md(spec) else float(np.quantile(values, _TAIL_SHARE))
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "variance": float(values.var()),
        "count": len(values),
        "tail_threshold": default if tail_threshold is None else float(tail_threshold),
    }


def label_density(
    path: str | Path, split: str = "training", *, bin_width: float = 1.0, kernel_size: int = 5, sigma: float = 2.0
) -> dict[str, list[float]]:
    """How common each target is in one split: a histogram, smoothed (label distribution smoothing, LDS).

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021. The histogram is convolved with a Gaussian
    kernel that sums to 1; weights are taken from the smoothed density, where the authors' code takes the root before.

    Args:
        path: the datalist.
        split: the list to describe.
        bin_width: of the histogram, in the target's unit, above 0; a boundary is at 0.
        kernel_size: bins that the kernel spans, odd.
        sigma: of the kernel, in bins, above 0.

    Returns:
        `centres` of the bins from the lowest to the highest target, and their `density`: smoothed numbers of cases.

    Raises:
        MedmdError: an argument is outside its range, or as `target_statistics`.
    """
    import numpy as np

    if not (bin_width > 0 and sigma > 0 and kernel_size >= 1 and kernel_size % 2):
        found = f"{bin_width}, {sigma} and {kernel_size}"
        msg = f"bin_width, sigma, kernel_size: expected numbers above 0, the last odd; got {found}."
        raise MedmdError(msg)
    values, _ = _known_targets(path, split)
    bins = np.floor(values / bin_width).astype(int)
    counts = np.bincount(bins - bins.min())
    kernel = np.exp(-0.5 * (np.arange(kernel_size) - kernel_size // 2) ** 2 / sigma**2)
    density = np.convolve(counts, kernel / kernel.sum())[kernel_size // 2 :][: len(counts)]
    centres = (bins.min() + np.arange(len(counts)) + 0.5) * bin_width
    return {"centres": centres.tolist(), "density": density.tolist()}


def _known_targets(path: str | Path, split: str) -> tuple[npt.NDArray[np.float64], TargetSpec]:
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
    return values, spec


def _is_md(spec: TargetSpec) -> bool:
    return spec.name.lower() == "md" and spec.unit == "dB"
