"""Ignite engines of the two stages, as subclasses of MONAI's, so that every MONAI handler works on them."""

from medmd.engines._batch import ModalityBatch, PrepareModalities
from medmd.engines._contrastive import ContrastiveTrainer
from medmd.engines._evaluator import RegressionEvaluator, predict_table
from medmd.engines._fusion import FusionTrainer
from medmd.engines._precision import autocast
from medmd.engines._record import StepRecord
from medmd.engines._skip import SkippedSteps
from medmd.engines._tracks import ModalityTrack, ModalityTracks
from medmd.engines._whole_loss import WholeLoss

__all__ = [
    "ContrastiveTrainer",
    "FusionTrainer",
    "ModalityBatch",
    "ModalityTrack",
    "ModalityTracks",
    "PrepareModalities",
    "RegressionEvaluator",
    "SkippedSteps",
    "StepRecord",
    "WholeLoss",
    "autocast",
    "predict_table",
]
