"""Ignite handlers for what MONAI's own leave open: seeds, best weights, exact checkpoints, history and tracking."""

from medmd.handlers._best import KeepBest, KeepBestOfEach
from medmd.handlers._checkpoint import Checkpoint
from medmd.handlers._history import History, RecordHistory
from medmd.handlers._mlflow import NEUTRAL_TAGS, MLflowRun, TrackMLflow, silence_telemetry
from medmd.handlers._progress import ShowProgress
from medmd.handlers._seeds import SeedIterations

__all__ = [
    "NEUTRAL_TAGS",
    "Checkpoint",
    "History",
    "KeepBest",
    "KeepBestOfEach",
    "MLflowRun",
    "RecordHistory",
    "SeedIterations",
    "ShowProgress",
    "TrackMLflow",
    "silence_telemetry",
]

silence_telemetry()
