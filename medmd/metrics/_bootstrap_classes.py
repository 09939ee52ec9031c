"""Patient-clustered intervals of the metrics of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medmd.metrics._classification import CLASS_STATISTICS, known_classes, weighted_classes
from medmd.metrics._intervals import Interval, interval_ends
from medmd.metrics._resampling import Resampling


def clustered_bootstrap_classes(
    target: Any,
    predictions: Mapping[str, tuple[Any, Any]],
    patients: Any,
    *,
    seed: int,
    replicates: int = 2000,
    level: float = 0.95,
) -> dict[str, dict[str, Interval]]:
    """Percentile intervals of every statistic of every predictor of classes, by drawing patients with all their rows.

    Every predictor sees the same resamples, as in `clustered_bootstrap`.

    Args:
        target: (N,) indices of classes, NaN or below 0 where unknown.
        predictions: by name the predicted classes (N,) and their probabilities (N, C), NaN where there is none.
        patients: (N,) pseudonyms.
        seed: of the resamples.
        replicates: how many resamples.
        level: coverage of the intervals.

    Returns:
        ``{predictor: {statistic: Interval}}`` for `CLASS_STATISTICS`.

    Raises:
        ValueError: shapes that do not fit, or an index outside the classes.
    """
    truth = np.asarray(target, dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(truth) & (truth >= 0))
    names = np.asarray([str(patient) for patient in patients], dtype=np.str_)
    if len(names) != len(truth):
        msg = f"target and patients must have the same length, got {len(truth)} and {len(names)}"
        raise ValueError(msg)
    resampling = Resampling(names[rows], replicates=replicates, seed=seed)
    return {
        name: _intervals(truth[rows], np.asarray(guess)[rows], np.asarray(probable)[rows], resampling, level)
        for name, (guess, probable) in predictions.items()
    }


def _intervals(truth: Any, guess: Any, probable: Any, resampling: Resampling, level: float) -> dict[str, Interval]:
    here = ~(np.isnan(np.asarray(probable, dtype=np.float64)).any(axis=1) | np.isnan(np.asarray(guess, np.float64)))
    data = known_classes(truth, probable, guess)
    estimates = weighted_classes(*data, np.ones((1, len(data[0]))))
    drawn = {name: np.full(resampling.replicates, np.nan) for name in CLASS_STATISTICS}
    for rows, weights in resampling.blocks():
        for name, values in weighted_classes(*data, weights[:, here]).items():
            drawn[name][rows] = values
    patients = len(np.unique(resampling.patient_index[here]))
    counts = int(here.sum()), patients, int((~here).sum())
    return {name: _interval(float(estimates[name][0]), drawn[name], counts, level) for name in CLASS_STATISTICS}


def _interval(estimate: float, drawn: Any, counts: tuple[int, int, int], level: float) -> Interval:
    # One patient alone gives equal replicates: an interval of width 0 would claim certainty.
    ends = interval_ends(drawn, estimate, level=level) if counts[1] > 1 else (float("nan"), float("nan"))
    return Interval(estimate, *ends, *counts, int((~np.isnan(drawn)).sum()))
