"""The metrics of many resamples at once: a resample is a row of weights, so that nothing is ever copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medmd.metrics._inputs import Vector
from medmd.metrics._regression import STATISTICS

Matrix: TypeAlias = NDArray[np.float64]

# Below this share of the full spread a resample's spread is checked exactly: sums of squares leave rounding behind.
_SUSPICIOUS = 1e-9
_COLUMNS = ("n", "t", "p", "tt", "pp", "tp", "ee", "ae", "w1", "w2", "w3")


def weighted_statistics(
    target: Vector, prediction: Vector, weights: Matrix, statistics: Sequence[str] = STATISTICS
) -> dict[str, Vector]:
    """`regression_metrics` of every resample, where a row of `weights` says how often each case was drawn.

    Args:
        target: (N,) finite.
        prediction: (N,) finite.
        weights: (R, N) whole numbers >= 0, one resample a row.
        statistics: which of `STATISTICS`.

    Returns:
        For each statistic (R,): what `regression_metrics` gives on the cases repeated by their weights, NaN where it is
        undefined there (no case drawn, or a constant target or prediction).

    Raises:
        ValueError: a statistic is unknown.
    """
    unknown = sorted(set(statistics) - set(STATISTICS))
    if unknown:
        msg = f"statistics must be among {', '.join(STATISTICS)}; got {', '.join(unknown)}"
        raise ValueError(msg)
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = _sums(target, prediction, weights)
        results = {name: _MOMENTS[name](sums) for name in statistics if name in _MOMENTS}
        if "spearman" in statistics:
            ranks = _mid_ranks(target, weights), _mid_ranks(prediction, weights)
            results["spearman"] = _rank_correlation(*ranks, weights)
    if "median_ae" in statistics:
        results["median_ae"] = _median(np.abs(prediction - target), weights)
    _blank_constants(results, sums, target, prediction, weights)
    return {name: results[name] for name in statistics}


def _sums(target: Vector, prediction: Vector, weights: Matrix) -> dict[str, Vector]:
    """Weighted sums (R,), centred on the full sample's means, around which they lose no digits."""
    shift = prediction.mean() - target.mean() if len(target) else 0.0
    t = target - target.mean() if len(target) else target
    p = prediction - prediction.mean() if len(target) else prediction
    error = prediction - target
    size = np.abs(error)
    columns = [np.ones_like(t), t, p, t * t, p * p, t * p, error**2, size, size <= 1, size <= 2, size <= 3]
    sums = dict(zip(_COLUMNS, (weights @ np.stack(columns, axis=1)).T, strict=True))
    n = sums["n"]
    sums["var_t"] = sums["tt"] / n - (sums["t"] / n) ** 2
    sums["var_p"] = sums["pp"] / n - (sums["p"] / n) ** 2
    sums["cov"] = sums["tp"] / n - sums["t"] * sums["p"] / n**2
    sums["bias"] = shift + (sums["p"] - sums["t"]) / n
    return sums


_MOMENTS: dict[str, Callable[[dict[str, Vector]], Vector]] = {
    "mae": lambda s: s["ae"] / s["n"],
    "mse": lambda s: s["ee"] / s["n"],
    "rmse": lambda s: np.sqrt(s["ee"] / s["n"]),
    "r2": lambda s: 1.0 - s["ee"] / s["n"] / s["var_t"],
    "pearson": lambda s: np.clip(s["cov"] / np.sqrt(s["var_t"] * s["var_p"]), -1.0, 1.0),
    "ccc": lambda s: 2.0 * s["cov"] / (s["var_t"] + s["var_p"] + s["bias"] ** 2),
    "bias": lambda s: s["bias"],
    "within_1db": lambda s: s["w1"] / s["n"],
    "within_2db": lambda s: s["w2"] / s["n"],
    "within_3db": lambda s: s["w3"] / s["n"],
}


def _mid_ranks(values: Vector, weights: Matrix) -> Matrix:
    """Average ranks (R, N) of each resample, ties sharing theirs."""
    unique, group = np.unique(values, return_inverse=True)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[:, order], axis=1)
    ends = np.cumsum(np.bincount(group, minlength=len(unique))) - 1
    above = below[:, ends]
    drawn = np.diff(above, axis=1, prepend=0.0)
    return (above - (drawn - 1.0) / 2.0)[:, group]


def _rank_correlation(first: Matrix, second: Matrix, weights: Matrix) -> Vector:
    # Average ranks of n draws always have the mean (n + 1) / 2, with ties and without.
    mean = (weights.sum(axis=1, keepdims=True) + 1.0) / 2.0
    first, second = first - mean, second - mean
    weighted = weights * first
    product = np.einsum("rn,rn->r", weighted, second)
    spread = np.einsum("rn,rn->r", weighted, first) * np.einsum("rn,rn,rn->r", weights, second, second)
    return np.clip(product / np.sqrt(spread), -1.0, 1.0)


def _median(values: Vector, weights: Matrix) -> Vector:
    """Median of each resample: the mean of its two middle draws."""
    order = np.argsort(values, kind="stable")
    drawn = np.cumsum(weights[:, order], axis=1)
    if drawn.shape[1] == 0:
        return np.full(len(weights), np.nan)
    n = drawn[:, -1]
    # The draw at position k (from 0) is the first value with more than k draws up to and including it.
    low, high = (np.argmax(drawn > position[:, None], axis=1) for position in ((n - 1) // 2, n // 2))
    median = (values[order][low] + values[order][high]) / 2.0
    return np.where(n > 0, median, np.nan)


def _blank_constants(
    results: dict[str, Vector], sums: dict[str, Vector], target: Vector, prediction: Vector, weights: Matrix
) -> None:
    """Put NaN where a resample holds one target value or one predicted value only."""
    for values, spread, names in (
        (target, sums["var_t"], ("r2", "pearson", "spearman", "ccc")),
        (prediction, sums["var_p"], ("pearson", "spearman")),
    ):
        constant = _constant_rows(values, spread, weights)
        for name in set(names) & results.keys():
            results[name] = np.where(constant, np.nan, results[name])


def _constant_rows(values: Vector, spread: Vector, weights: Matrix) -> NDArray[np.bool_]:
    full = np.var(values) if len(values) else 0.0
    constant = ~(spread > _SUSPICIOUS * full)
    for row in np.flatnonzero(constant):
        drawn = values[weights[row] > 0]
        constant[row] = len(drawn) == 0 or drawn.min() == drawn.max()
    return constant
