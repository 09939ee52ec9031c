"""Metrics of numbers and of classes, computed once from whole vectors: never averaged over batches.

NumPy and SciPy only; importing this folder does not import torch.
"""

from medmd.metrics._agreement import bland_altman, calibration_line
from medmd.metrics._blend import blend, blend_weights
from medmd.metrics._bootstrap import clustered_bootstrap, resample_weights
from medmd.metrics._bootstrap_classes import clustered_bootstrap_classes
from medmd.metrics._challenge import smape, stage_challenge_score
from medmd.metrics._classification import CLASS_STATISTICS, classification_metrics, confusion_matrix
from medmd.metrics._corrections import CORRECTIONS, Correction, correct_p_values
from medmd.metrics._inputs import UndefinedMetricWarning
from medmd.metrics._intervals import Interval
from medmd.metrics._paired import Difference, paired_difference
from medmd.metrics._permutation import COMPARED, PermutationTest, permutation_test
from medmd.metrics._probability_columns import is_probability, probability_columns
from medmd.metrics._ranks import RankComparison, compare_ranks, critical_difference
from medmd.metrics._regression import STATISTICS, regression_metrics, undefined_reasons
from medmd.metrics._weighted import weighted_statistics

__all__ = [
    "CLASS_STATISTICS",
    "COMPARED",
    "CORRECTIONS",
    "STATISTICS",
    "Correction",
    "Difference",
    "Interval",
    "PermutationTest",
    "RankComparison",
    "UndefinedMetricWarning",
    "bland_altman",
    "blend",
    "blend_weights",
    "calibration_line",
    "classification_metrics",
    "clustered_bootstrap",
    "clustered_bootstrap_classes",
    "compare_ranks",
    "confusion_matrix",
    "correct_p_values",
    "critical_difference",
    "is_probability",
    "paired_difference",
    "permutation_test",
    "probability_columns",
    "regression_metrics",
    "resample_weights",
    "smape",
    "stage_challenge_score",
    "undefined_reasons",
    "weighted_statistics",
]
