"""Losses of both stages: regression (one call) and contrastive (one call), all `torch.nn.Module`s."""

from medmd.losses._adaptive_margin import AdaptiveMarginSupConLoss
from medmd.losses._balanced_mse import BatchMonteCarloLoss, GaussianMixtureBalancedLoss
from medmd.losses._classification import ClassificationLoss, MultitaskLoss
from medmd.losses._conr import ConRLoss
from medmd.losses._density_weighted import DensityWeightedLoss
from medmd.losses._evidential import EvidentialLoss, nig_nll, student_t_nll
from medmd.losses._label_distance import LabelDistanceWeightedSupConLoss
from medmd.losses._multi_expert import MultiExpertLoss
from medmd.losses._queue import FeatureQueue
from medmd.losses._rank_n_contrast import RankNContrastLoss
from medmd.losses._rank_sim import RankSimLoss
from medmd.losses._regression import HuberLoss, MeanSquaredErrorLoss, RegressionLoss
from medmd.losses._smape_r2 import SmapeR2Loss
from medmd.losses._supcon import SimCLRLoss, SupConLoss

__all__ = [
    "AdaptiveMarginSupConLoss",
    "BatchMonteCarloLoss",
    "ClassificationLoss",
    "ConRLoss",
    "DensityWeightedLoss",
    "EvidentialLoss",
    "FeatureQueue",
    "GaussianMixtureBalancedLoss",
    "HuberLoss",
    "LabelDistanceWeightedSupConLoss",
    "MeanSquaredErrorLoss",
    "MultiExpertLoss",
    "MultitaskLoss",
    "RankNContrastLoss",
    "RankSimLoss",
    "RegressionLoss",
    "SimCLRLoss",
    "SmapeR2Loss",
    "SupConLoss",
    "nig_nll",
    "student_t_nll",
]
