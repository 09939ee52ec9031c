"""From a bootstrap distribution to an interval."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.stats import norm

from medmd.metrics._inputs import Vector

Method: TypeAlias = Literal["percentile", "bca"]


class Interval(NamedTuple):
    """A statistic with its bootstrap interval.

    Attributes:
        estimate: the statistic on all cases; NaN where it is undefined.
        low: lower end; NaN when there are fewer than two patients or no defined replicate.
        high: upper end.
        n: cases used.
        patients: patients among them.
        dropped: cases with a target but without this prediction, left out.
        valid: replicates in which the statistic is defined; the interval rests on these.
    """

    estimate: float
    low: float
    high: float
    n: int
    patients: int
    dropped: int
    valid: int


def interval_ends(
    replicates: Vector, estimate: float, *, level: float, method: Method = "percentile", jackknife: Vector | None = None
) -> tuple[float, float]:
    """Ends of the interval of `level` from the replicates (R,), those that are NaN left out.

    Args:
        replicates: (R,) the statistic on every resample.
        estimate: the statistic on all cases.
        level: coverage asked for, as 0.95.
        method: "percentile", or "bca": bias-corrected and accelerated (Efron 1987).
        jackknife: (P,) the statistic without each patient in turn; needed for "bca".

    Returns:
        (low, high), NaN where there is nothing to take them from.
    """
    defined = replicates[~np.isnan(replicates)]
    if len(defined) == 0 or np.isnan(estimate):
        return float("nan"), float("nan")
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    if method == "bca" and jackknife is not None:
        tails = _bca_tails(tails, defined, estimate, jackknife)
    low, high = np.quantile(defined, tails)
    return float(low), float(high)


def _bca_tails(tails: Vector, replicates: Vector, estimate: float, jackknife: Vector) -> Vector:
    # Ties with the estimate count half, so that a discrete statistic (share within 1 dB) is not called biased.
    below = np.mean(replicates < estimate) + np.mean(replicates == estimate) / 2.0
    if not 0.0 < below < 1.0:
        return tails
    bias = norm.ppf(below)
    shifted = bias + norm.ppf(tails)
    return norm.cdf(bias + shifted / (1.0 - _acceleration(jackknife) * shifted))


def _acceleration(jackknife: Vector) -> float:
    values = jackknife[~np.isnan(jackknife)]
    spread = values.mean() - values if len(values) else values
    scale = float(np.sum(spread**2)) ** 1.5
    return float(np.sum(spread**3)) / (6.0 * scale) if scale > 0.0 else 0.0
