"""Ignite handlers for what MONAI's own leave open: seeds, best weights, exact checkpoints, history and tracking."""

from medmd.handlers._best import KeepBest, KeepBestOfEach
from medmd.handlers._checkpoint import Checkpoint
from medmd.handlers._checkpoint_file import check_checkpoints, remove_leftovers
from medmd.handlers._finite import RequireFinite
from medmd.handlers._history import History, RecordHistory
from medmd.handlers._mlflow_run import NEUTRAL_TAGS, MLflowRun
from medmd.handlers._mlflow_store import silence_telemetry
from medmd.handlers._mlflow_track import TrackMLflow
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
    "RequireFinite",
    "SeedIterations",
    "ShowProgress",
    "TrackMLflow",
    "check_checkpoints",
    "remove_leftovers",
    "silence_telemetry",
]

silence_telemetry()
