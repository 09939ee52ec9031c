"""The score of the STAGE challenges, for comparison with their leaderboards only."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from medmd.metrics._inputs import UndefinedMetricWarning, as_pair
from medmd.metrics._regression import regression_metrics


def smape(target: Any, prediction: Any) -> float:
    r"""Symmetric mean absolute percentage error as the STAGE challenges compute it, 0 to 2 and not in percent.

    .. math:: \frac{1}{n} \sum \frac{2 |\hat y - y|}{|\hat y| + |y|}

    It explodes near 0 dB: a prediction of the wrong sign costs 2, be it 0.1 dB away. Prefer MAE.

    Args:
        target: (N,), NaN where there is none.
        prediction: (N,), NaN where there is none; rows with a NaN are left out.

    Returns:
        The mean; a row where both are 0 counts as 0. NaN with a warning when there is no row.
    """
    target, prediction = as_pair(target, prediction)
    if len(target) == 0:
        msg = "Undefined, given as NaN: smape: no case has both a target and a prediction."
        warnings.warn(msg, UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    size = np.abs(prediction) + np.abs(target)
    terms = 2.0 * np.abs(prediction - target) / np.where(size > 0, size, 1.0)
    return float(terms.mean())


def stage_challenge_score(target: Any, prediction: Any) -> float:
    """Score of STAGE 2023 and 2024, task 1: ``0.5 / (SMAPE + 0.1) + 0.5 * 10 * R2``; 10 is perfect.

    Source: public code of four participants, which agree; no official text was found.

    Args:
        target: (N,) MD in dB, NaN where there is none.
        prediction: (N,) MD in dB, NaN where there is none.

    Returns:
        The score; NaN with a warning where R2 is undefined.
    """
    r2 = regression_metrics(target, prediction, on_undefined="ignore")["r2"]
    if np.isnan(r2):
        msg = "Undefined, given as NaN: stage_challenge_score: R2 needs two cases with different targets."
        warnings.warn(msg, UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    return 0.5 / (smape(target, prediction) + 0.1) + 5.0 * r2
