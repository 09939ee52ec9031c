"""Losses of both stages: regression (one call) and contrastive (one call), all `torch.nn.Module`s."""

from medmd.losses._adaptive_margin import AdaptiveMarginSupConLoss
from medmd.losses._queue import FeatureQueue
from medmd.losses._regression import HuberLoss, MeanSquaredErrorLoss, RegressionLoss
from medmd.losses._smape_r2 import SmapeR2Loss

__all__ = [
    "AdaptiveMarginSupConLoss",
    "FeatureQueue",
    "HuberLoss",
    "MeanSquaredErrorLoss",
    "RegressionLoss",
    "SmapeR2Loss",
]
