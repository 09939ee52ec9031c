"""Rows ranked over many blocks: data sets, and the seeds and folds of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from medmd.comparison._compare import HIGHER_IS_BETTER, LEVEL, score
from medmd.comparison._sources import Rows
from medmd.metrics import compare_ranks

_FEWEST = 2


def rank_blocks(tables: Sequence[Rows], *, statistic: str = "mse", level: float = LEVEL) -> dict[str, Any] | None:
    """Mean ranks, Friedman's test and Nemenyi's critical difference over data sets x seeds.

    A block is one seed of one data set, its folds pooled. Rows have to be in all data sets; blocks are the seeds that
    all of these rows have. Seeds of one data set share its cases, so that blocks are not independent and the critical
    difference is smaller than it should be; with one data set it says something of that one only.

    Args:
        tables: the rows of each data set.
        statistic: what is ranked.
        level: of Nemenyi's test.

    Returns:
        `rows` (names, in the order of their ranks), `titles`, `ranks`, `statistic`, `friedman`, `p_value`,
        `critical_difference`, `groups` (lists of names), `blocks`, `datasets`, `left_out`; None with fewer than two
        rows or two blocks.
    """
    if not tables:
        return None
    everywhere = [name for name in tables[0].ranked if all(name in table.ranked for table in tables)]
    left_out = sorted({name for table in tables for name in table.ranked} - set(everywhere))
    scores = [_scores(table, everywhere, statistic) for table in tables]
    blocks = np.concatenate(scores) if scores else np.zeros((0, 0))
    if len(everywhere) < _FEWEST or len(blocks) < _FEWEST:
        return None
    found = compare_ranks(blocks, higher_is_better=statistic in HIGHER_IS_BETTER, level=level)
    order = np.argsort(found.ranks, kind="stable")
    return {
        "rows": [everywhere[at] for at in order],
        "titles": [tables[0].titles[everywhere[at]] for at in order],
        "ranks": [float(found.ranks[at]) for at in order],
        "statistic": statistic,
        "friedman": found.statistic,
        "p_value": found.p_value,
        "critical_difference": found.critical_difference,
        "level": level,
        "groups": [[everywhere[at] for at in group] for group in found.groups],
        "blocks": found.blocks,
        "datasets": [table.name for table in tables],
        "left_out": left_out,
    }


def _scores(table: Rows, names: Sequence[str], statistic: str) -> Any:
    found = [
        [score(part["target"], part[name], statistic) for name in names] for _, part in _by_seed(table.table, names)
    ]
    scores = np.asarray(found, dtype=np.float64).reshape(len(found), len(names))
    return scores[np.isfinite(scores).all(axis=1)]


def _by_seed(table: pd.DataFrame, names: Sequence[str]) -> Any:
    return table.dropna(subset=list(names)).groupby("seed")
