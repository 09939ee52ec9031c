"""Evaluation from one saved table of predictions: metrics with intervals, figures and the report.

Matplotlib is imported only when a figure is drawn.
"""

from medmd.report._evaluate import Evaluation, evaluate_predictions
from medmd.report._evaluate_classes import evaluate_classes
from medmd.report._figures import Picture, draw_figures
from medmd.report._format import format_table
from medmd.report._inputs import ReportInputs, load_inputs
from medmd.report._labels import predictor_label
from medmd.report._strata import Stratum, severity_strata
from medmd.report._tables import (
    IDENTITY_COLUMNS,
    predictor_columns,
    read_history,
    read_predictions,
    reference_columns,
    write_predictions,
)
from medmd.report._write import write_report

__all__ = [
    "IDENTITY_COLUMNS",
    "Evaluation",
    "Picture",
    "ReportInputs",
    "Stratum",
    "draw_figures",
    "evaluate_classes",
    "evaluate_predictions",
    "format_table",
    "load_inputs",
    "predictor_columns",
    "predictor_label",
    "read_history",
    "read_predictions",
    "reference_columns",
    "severity_strata",
    "write_predictions",
    "write_report",
]
