"""Groups of cases by the measured value: errors grow with damage, and a mean hides it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Hodapp, Parrish and Anderson: early at -6 dB or better, advanced below -12 dB.
_MD_EDGES = ((-6.0, np.inf, "better than -6"), (-12.0, -6.0, "-6 to -12"), (-np.inf, -12.0, "worse than -12"))


class Stratum(NamedTuple):
    """Cases whose target is in [low, high).

    Attributes:
        name: for the reader, with unit.
        low: lower edge, part of the stratum.
        high: upper edge, not part of it; the last quantile group holds its upper edge too.
        rows: (N,) which cases.
    """

    name: str
    low: float
    high: float
    rows: NDArray[np.bool_]


def is_mean_deviation(target_name: str, unit: str) -> bool:
    """Whether the target is the field's mean deviation, to which the clinical limits apply."""
    return target_name.lower() in {"md", "mean_deviation", "mean deviation"} and unit.lower() == "db"


def severity_strata(target: Any, *, target_name: str = "md", unit: str = "dB", groups: int = 3) -> list[Stratum]:
    """Strata by the target, never by the prediction.

    Args:
        target: (N,) measured values, NaN in no stratum.
        target_name: "md" with unit "dB" gives the clinical limits: -6 dB or better is early (as in Hodapp, Parrish and
            Anderson), then down to -12 dB moderate, below advanced. Any other target gives quantile groups.
        unit: of the target.
        groups: how many quantile groups.

    Returns:
        Strata that hold every case with a target exactly once; empty ones included for MD, left out for quantiles.
    """
    target = np.asarray(target, dtype=np.float64)
    if is_mean_deviation(target_name, unit):
        return [
            Stratum(f"{name} {unit}", low, high, (target >= low) & (target < high)) for low, high, name in _MD_EDGES
        ]
    return _quantile_strata(target, unit, groups)


def _quantile_strata(target: NDArray[np.float64], unit: str, groups: int) -> list[Stratum]:
    finite = target[~np.isnan(target)]
    if len(finite) == 0:
        return []
    # Equal edges (many equal targets) would give empty groups.
    edges = np.unique(np.quantile(finite, np.linspace(0.0, 1.0, groups + 1)))
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    strata = []
    for position, (low, high) in enumerate(pairwise(edges)):
        last = position == len(edges) - 2
        rows = (target >= low) & ((target <= high) if last else (target < high))
        name = f"{low:.4g} to {high:.4g} {unit}".strip()
        strata.append(Stratum(name, float(low), float(high), rows))
    return strata
