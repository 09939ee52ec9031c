"""Metrics of regression, computed once from whole vectors: never averaged over batches.

NumPy and SciPy only; importing this folder does not import torch.
"""

from medmd.metrics._agreement import bland_altman, calibration_line
from medmd.metrics._bootstrap import clustered_bootstrap, resample_weights
from medmd.metrics._challenge import smape, stage_challenge_score
from medmd.metrics._inputs import UndefinedMetricWarning
from medmd.metrics._intervals import Interval
from medmd.metrics._paired import Difference, paired_difference
from medmd.metrics._regression import STATISTICS, regression_metrics, undefined_reasons
from medmd.metrics._weighted import weighted_statistics

__all__ = [
    "STATISTICS",
    "Difference",
    "Interval",
    "UndefinedMetricWarning",
    "bland_altman",
    "calibration_line",
    "clustered_bootstrap",
    "paired_difference",
    "regression_metrics",
    "resample_weights",
    "smape",
    "stage_challenge_score",
    "undefined_reasons",
    "weighted_statistics",
]
