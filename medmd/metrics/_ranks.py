"""Which methods rank first over many blocks, and how far apart ranks must be to tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2, rankdata, studentized_range

from medmd.metrics._inputs import Vector


class RankComparison(NamedTuple):
    """Friedman's test and Nemenyi's critical difference (Demsar 2006).

    Attributes:
        ranks: (K,) mean rank of each method, 1 is best.
        statistic: Friedman's chi-square, corrected for ties.
        p_value: of it, K - 1 degrees of freedom.
        critical_difference: two mean ranks this far apart or farther differ at the level.
        groups: runs of methods (indices, best first) within one critical difference, each as long as can be; what a
            bar joins in the figure.
        blocks: number of blocks.
    """

    ranks: Vector
    statistic: float
    p_value: float
    critical_difference: float
    groups: list[list[int]]
    blocks: int


def compare_ranks(scores: Any, *, higher_is_better: bool = False, level: float = 0.05) -> RankComparison:
    """Rank methods in each block and compare the mean ranks.

    Blocks are what the conclusion shall hold for: data sets. Seeds or folds of one data set share its cases; as blocks
    they are not independent, and the critical difference then is smaller than it should be.

    Args:
        scores: (blocks, K), K >= 2, all finite.
        higher_is_better: whether the largest score ranks first (R2) and not the smallest (errors).
        level: of Nemenyi's test.

    Raises:
        ValueError: not such a table.

    Example:
        >>> found = compare_ranks([[1.0, 2.0, 3.0], [1.1, 2.2, 3.3], [0.5, 0.7, 0.6]])
        >>> found.ranks.round(2).tolist(), round(found.critical_difference, 2)
        ([1.0, 2.33, 2.67], 1.91)
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2 or not np.isfinite(table).all():
        msg = f"scores must be finite numbers of shape (blocks, methods), 2 methods at least; got {table.shape}"
        raise ValueError(msg)
    ranked = rankdata(-table if higher_is_better else table, axis=1)
    blocks, size = table.shape
    means = ranked.mean(axis=0)
    statistic = _friedman(ranked)
    return RankComparison(
        means,
        statistic,
        float(chi2.sf(statistic, size - 1)),
        distance := critical_difference(size, blocks, level=level),
        _groups(means, distance),
        blocks,
    )


def critical_difference(methods: int, blocks: int, *, level: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks: q / sqrt(2) * sqrt(K (K + 1) / (6 N)).

    Args:
        methods: K.
        blocks: N.
        level: of the test.
    """
    quantile = studentized_range.ppf(1.0 - level, methods, np.inf)
    return float(quantile / np.sqrt(2.0) * np.sqrt(methods * (methods + 1) / (6.0 * blocks)))


def _friedman(ranked: Vector) -> float:
    blocks, size = ranked.shape
    between = blocks * np.sum((ranked.mean(axis=0) - (size + 1) / 2.0) ** 2)
    within = np.sum((ranked - (size + 1) / 2.0) ** 2) / (blocks * (size - 1))
    # All tied in every block: nothing differs.
    return float(between / within) if within > 0 else 0.0


def _groups(means: Vector, distance: float) -> list[list[int]]:
    order = np.argsort(means, kind="stable")
    found: list[list[int]] = []
    for start in range(len(order)):
        run = [int(at) for at in order[start:] if means[at] - means[order[start]] < distance]
        if len(run) > 1 and not _held(run, found):
            found.append(run)
    return found


def _held(run: Sequence[int], found: Sequence[Sequence[int]]) -> bool:
    return any(set(run) <= set(other) for other in found)
