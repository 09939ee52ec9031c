"""Which of two predictors is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from medmd.metrics._bootstrap import Distribution, prepare
from medmd.metrics._inputs import Vector
from medmd.metrics._intervals import Method, interval_ends
from medmd.metrics._regression import STATISTICS


class Difference(NamedTuple):
    """Difference of one statistic between two predictors, on the cases that both predict.

    Attributes:
        estimate: statistic of the first minus statistic of the second, on all common cases.
        low: lower end of the interval; NaN when there are fewer than two patients.
        high: upper end.
        p_value: two-sided, twice the smaller share of replicates on one side of 0 (each share with one added).
        n: common cases.
        patients: patients among them.
        dropped: cases with a target that one of the two does not predict.
        valid: replicates in which both statistics are defined.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    n: int
    patients: int
    dropped: int
    valid: int


def paired_difference(
    target: Any,
    predictions: Mapping[str, Any],
    patients: Any,
    *,
    baseline: str,
    seed: int,
    replicates: int = 2000,
    statistics: Sequence[str] = STATISTICS,
    groups: Any | None = None,
    level: float = 0.95,
    method: Method = "percentile",
) -> dict[str, dict[str, Difference]]:
    """Every predictor minus a baseline, both on the same resamples of patients.

    The difference of two predictors is known far better than either alone, because hard cases are hard for both; two
    overlapping intervals of `clustered_bootstrap` therefore say nothing. Several seeds are compared by stacking their
    tables (rows of one patient repeat), with `groups` the seed of each row to cover the choice of seeds too.

    Args:
        target: (N,), NaN where there is none.
        predictions: by name (N,), NaN where there is none; the baseline is one of them.
        patients: (N,) pseudonyms.
        baseline: the name of the predictor that the others are compared with.
        seed: of the resamples.
        replicates: how many resamples.
        statistics: which of `STATISTICS`.
        groups: (N,) or None, a second factor to draw, crossed with the patients.
        level: coverage of the intervals.
        method: "percentile" or "bca".

    Returns:
        ``{predictor: {statistic: Difference}}`` without the baseline itself.

    Raises:
        ValueError: the baseline is not among the predictions, lengths differ, or an unknown statistic.
        MedmdError: an infinite value.
    """
    if baseline not in predictions:
        msg = f"baseline must be one of {', '.join(predictions)}; got {baseline!r}"
        raise ValueError(msg)
    target, columns, resampling = prepare(target, predictions, patients, groups, replicates=replicates, seed=seed)
    reference = columns.pop(baseline)
    drawn: dict[tuple[str, bytes], Distribution] = {}
    pairs = {}
    for name, values in columns.items():
        common = ~(np.isnan(values) | np.isnan(reference))
        # The baseline is computed once for all predictors that cover the same cases.
        keys = (name, b""), (baseline, common.tobytes())
        for key, column in zip(keys, (values, reference), strict=True):
            if key not in drawn:
                masked = np.where(common, column, np.nan)
                drawn[key] = Distribution(target, masked, resampling, statistics, jackknife=method == "bca")
        pairs[name] = keys
    for rows, weights in resampling.blocks():
        for distribution in drawn.values():
            distribution.fill(rows, weights)
    return {
        name: {
            statistic: _difference(drawn[first], drawn[second], statistic, level, method) for statistic in statistics
        }
        for name, (first, second) in pairs.items()
    }


def _difference(first: Distribution, second: Distribution, name: str, level: float, method: Method) -> Difference:
    estimate = first.estimates[name] - second.estimates[name]
    replicates = first.replicates[name] - second.replicates[name]
    jackknife = None
    if first.jackknife is not None and second.jackknife is not None:
        jackknife = first.jackknife[name] - second.jackknife[name]
    low = high = p_value = float("nan")
    if first.patients > 1:
        low, high = interval_ends(replicates, estimate, level=level, method=method, jackknife=jackknife)
        p_value = _p_value(replicates)
    valid = int((~np.isnan(replicates)).sum())
    return Difference(estimate, low, high, p_value, first.n, first.patients, first.dropped, valid)


def _p_value(replicates: Vector) -> float:
    defined = replicates[~np.isnan(replicates)]
    if len(defined) == 0:
        return float("nan")
    # One added on each side: no finite number of resamples shows a probability of 0.
    side = min(int((defined <= 0.0).sum()), int((defined >= 0.0).sum()))
    return min(1.0, 2.0 * (side + 1) / (len(defined) + 1))
