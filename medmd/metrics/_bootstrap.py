"""Intervals that know that two eyes of a patient are not two independent cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medmd.metrics._inputs import Vector, as_vector
from medmd.metrics._intervals import Interval, Method, interval_ends
from medmd.metrics._regression import STATISTICS, regression_metrics
from medmd.metrics._resampling import Resampling, aligned, resample_weights
from medmd.metrics._weighted import weighted_statistics

__all__ = ["Distribution", "clustered_bootstrap", "prepare", "resample_weights", "summarise"]


class Distribution:
    """Estimates, replicates and jackknife values of one predictor.

    Args:
        target: (N,) without NaN.
        prediction: (N,), NaN where there is none.
        resampling: the replicates, shared by all predictors so that they can be compared pairwise.
        statistics: which to compute.
        jackknife: whether to leave out each patient in turn as well, which "bca" needs.
    """

    def __init__(
        self, target: Vector, prediction: Vector, resampling: Resampling, statistics: Sequence[str], *, jackknife: bool
    ) -> None:
        kept = ~np.isnan(prediction)
        self._columns = slice(None) if kept.all() else kept
        self._data = target[kept], prediction[kept]
        self._statistics = statistics
        self.n, self.dropped = int(kept.sum()), int((~kept).sum())
        self.patients = len(np.unique(resampling.patient_index[kept]))
        self.estimates = regression_metrics(*self._data, on_undefined="ignore")
        self.replicates = {name: np.full(resampling.replicates, np.nan) for name in statistics}
        self.jackknife = self._leave_out(resampling) if jackknife else None

    def fill(self, rows: slice, weights: Any) -> None:
        """Compute the replicates of `rows` from their weights (len(rows), N)."""
        for name, values in self._evaluate(weights).items():
            self.replicates[name][rows] = values

    def _leave_out(self, resampling: Resampling) -> dict[str, Vector]:
        parts = [self._evaluate(weights) for _, weights in resampling.without_each_patient()]
        return {name: np.concatenate([np.zeros(0), *(part[name] for part in parts)]) for name in self._statistics}

    def _evaluate(self, weights: Any) -> dict[str, Vector]:
        return weighted_statistics(*self._data, weights[:, self._columns], self._statistics)


def clustered_bootstrap(
    target: Any,
    predictions: Mapping[str, Any],
    patients: Any,
    *,
    seed: int,
    replicates: int = 2000,
    statistics: Sequence[str] = STATISTICS,
    groups: Any | None = None,
    level: float = 0.95,
    method: Method = "percentile",
) -> dict[str, dict[str, Interval]]:
    """Intervals of every statistic of every predictor, by drawing patients with all their rows.

    Every predictor sees the same resamples. A patient may have any number of rows: two eyes, or one row for each of
    several training seeds whose tables were stacked. Rows without a target are left out for all, rows without a
    prediction for that predictor only.

    Args:
        target: (N,), NaN where there is none.
        predictions: by name (N,), NaN where there is none.
        patients: (N,) pseudonyms.
        seed: of the resamples.
        replicates: how many resamples.
        statistics: which of `STATISTICS`.
        groups: (N,) or None, a second factor to draw, crossed with the patients: pass the training seed of each row
            and the interval also covers the choice of seeds.
        level: coverage of the intervals.
        method: "percentile", or "bca", which corrects bias and skewness (Efron 1987).

    Returns:
        ``{predictor: {statistic: Interval}}``.

    Raises:
        ValueError: lengths differ, or an unknown statistic.
        MedmdError: an infinite value.

    Example:
        >>> intervals = clustered_bootstrap([-1.0, -2.0, -9.0, -8.0], {"a": [-2.0, -2.0, -7.0, -8.0]}, "ppqq", seed=1)
        >>> mae = intervals["a"]["mae"]
        >>> (mae.estimate, mae.low, mae.high, mae.n, mae.patients)
        (0.75, 0.5, 1.0, 4, 2)
    """
    target, columns, resampling = prepare(target, predictions, patients, groups, replicates=replicates, seed=seed)
    drawn = {
        name: Distribution(target, values, resampling, statistics, jackknife=method == "bca")
        for name, values in columns.items()
    }
    for rows, weights in resampling.blocks():
        for distribution in drawn.values():
            distribution.fill(rows, weights)
    return {name: summarise(distribution, level=level, method=method) for name, distribution in drawn.items()}


def prepare(
    target: Any, predictions: Mapping[str, Any], patients: Any, groups: Any | None, *, replicates: int, seed: int
) -> tuple[Vector, dict[str, Vector], Resampling]:
    """Checked vectors without the rows that have no target, and the resampling of those that stay."""
    target = as_vector(target, "target")
    columns = {name: as_vector(values, f"prediction {name!r}") for name, values in predictions.items()}
    aligned(target, columns, patients=patients, groups=groups)
    kept = np.flatnonzero(~np.isnan(target))
    patients = (
        [patients[row] for row in kept] if isinstance(patients, (list, tuple, str)) else np.asarray(patients)[kept]
    )
    groups = None if groups is None else np.asarray(groups)[kept]
    resampling = Resampling(patients, groups, replicates=replicates, seed=seed)
    return target[kept], {name: values[kept] for name, values in columns.items()}, resampling


def summarise(distribution: Distribution, *, level: float, method: Method) -> dict[str, Interval]:
    """The interval of each statistic of one distribution."""
    return {name: _interval(distribution, name, level, method) for name in distribution.replicates}


def _interval(distribution: Distribution, name: str, level: float, method: Method) -> Interval:
    replicates, estimate = distribution.replicates[name], distribution.estimates[name]
    jackknife = None if distribution.jackknife is None else distribution.jackknife[name]
    # One patient alone gives equal replicates: an interval of width 0 would claim certainty.
    ends = float("nan"), float("nan")
    if distribution.patients > 1:
        ends = interval_ends(replicates, estimate, level=level, method=method, jackknife=jackknife)
    valid = int((~np.isnan(replicates)).sum())
    return Interval(estimate, *ends, distribution.n, distribution.patients, distribution.dropped, valid)
