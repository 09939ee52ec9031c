"""What ties the parts to a run that a user starts: its data, folder, stages, evaluation, and the model it leaves."""

from medmd.workflows._data import ensure_datalist, labelled_cases
from medmd.workflows._errors import explain_errors, user_error
from medmd.workflows._evaluation import FinalEvaluation
from medmd.workflows._inference import Evaluation, Inference, bundle_network, cases_to_predict
from medmd.workflows._lock import hold_folder
from medmd.workflows._model_folder import ModelFolder, load_model_folder, write_model_folder
from medmd.workflows._parser import active_parser, resolve_literals
from medmd.workflows._predictor import Predictor, items_from_folder
from medmd.workflows._preprocessing import build_preprocessing
from medmd.workflows._scrub import scrub
from medmd.workflows._session import Session
from medmd.workflows._settings import check_start
from medmd.workflows._standardize import standardize_vectors
from medmd.workflows._stop import steady_worker, stop_on_signals
from medmd.workflows._versions import environment
from medmd.workflows.preflight import Later, run_preflight

__all__ = [
    "Evaluation",
    "FinalEvaluation",
    "Inference",
    "Later",
    "ModelFolder",
    "Predictor",
    "Session",
    "active_parser",
    "build_preprocessing",
    "bundle_network",
    "cases_to_predict",
    "check_start",
    "ensure_datalist",
    "environment",
    "explain_errors",
    "hold_folder",
    "items_from_folder",
    "labelled_cases",
    "load_model_folder",
    "resolve_literals",
    "run_preflight",
    "scrub",
    "standardize_vectors",
    "steady_worker",
    "stop_on_signals",
    "user_error",
    "write_model_folder",
]
