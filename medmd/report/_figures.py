"""All figures that the data allows, as PNG."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from medmd.report._evaluate import Evaluation
from medmd.report._figures_classes import classifiers_figure, confusion_figure
from medmd.report._figures_history import margin_figure, training_curves_figure
from medmd.report._figures_modulation import conflict_figure, modulation_figure
from medmd.report._figures_predictions import (
    Label,
    bland_altman_figure,
    predictors_figure,
    scatter_figure,
    severity_figure,
)
from medmd.report._style import png


class Picture(NamedTuple):
    """One figure of a report.

    Attributes:
        name: file name without ending.
        caption: what it shows, also for readers who cannot see it.
        content: PNG.
    """

    name: str
    caption: str
    content: bytes


def draw_figures(
    table: pd.DataFrame, evaluation: Evaluation, *, history: pd.DataFrame | None = None, label: Label = str
) -> list[Picture]:
    """Every figure for which there are numbers.

    Args:
        table: the predictions from which `evaluation` was made.
        evaluation: from `evaluate_predictions`.
        history: from `read_history`, or None.
        label: gives a column the name that readers see.

    Returns:
        Scatter and Bland-Altman of the main predictor (`fusion`, or the first), error by severity and all predictors'
        R2, or of classes the confusion matrix and all predictors' balanced accuracy; from the history training curves,
        margin, modulation (Fig. 5 of the paper) and gradient conflicts.
    """
    rows = table[table["split"] == evaluation["split"]]
    drawn = (
        _of_classes(evaluation, label) if evaluation.get("kind") == "class" else _of_numbers(rows, evaluation, label)
    )
    if history is not None:
        drawn += _history_figures(history, evaluation["target"].get("unit", ""))
    return [Picture(name, caption, png(figure)) for name, caption, figure in drawn]


def _of_classes(evaluation: Evaluation, label: Label) -> list:
    drawn = []
    main = main_predictor(evaluation)
    if main is not None and evaluation["overall"][main]["n"]:
        caption = "How often each true class was predicted as each class."
        drawn.append(("confusion", caption, confusion_figure(evaluation, main, label)))
    caption = "Balanced accuracy of all predictors and references."
    return [*drawn, ("predictors", caption, classifiers_figure(evaluation, label))]


def _of_numbers(rows: pd.DataFrame, evaluation: Evaluation, label: Label) -> list:
    drawn = []
    main = main_predictor(evaluation)
    if main is not None and evaluation["overall"][main]["n"]:
        drawn.append(("scatter", "Prediction against measurement.", scatter_figure(rows, evaluation, main, label)))
        caption = "Difference against mean of prediction and measurement, with limits of agreement."
        drawn.append(("bland_altman", caption, bland_altman_figure(rows, evaluation, main, label)))
    columns = _compared(evaluation, main)
    drawn.append(("error_by_severity", "Mean absolute error by severity.", severity_figure(evaluation, columns, label)))
    drawn.append(("predictors", "R2 of all predictors and references.", predictors_figure(evaluation, label)))
    return drawn


def main_predictor(evaluation: Evaluation) -> str | None:
    """The column that stands for the model: `fusion`, else the first predictor, else None."""
    predictors = evaluation["predictors"]
    if "fusion" in predictors:
        return "fusion"
    return predictors[0] if predictors else None


def _history_figures(history: pd.DataFrame, unit: str) -> list:
    candidates = [
        (
            "training_curves",
            "Training loss and validation error of both stages.",
            training_curves_figure(history, unit),
        ),
        ("margin", "The adaptive margin in stage 1.", margin_figure(history)),
        ("modulation", "Gamma and sharpness over iterations, and together.", modulation_figure(history)),
        ("conflict", "Conflict between fused and unimodal gradients.", conflict_figure(history)),
    ]
    return [entry for entry in candidates if entry[2] is not None]


def _compared(evaluation: Evaluation, main: str | None) -> list[str]:
    """What the figure by severity shows: the model, each modality alone, their average, constant and noise ceiling."""
    wanted = [main] if main is not None else []
    wanted += [name for name in evaluation["predictors"] if name.startswith("pretrain_")]
    wanted += ["late_average", "reference_constant", "reference_label_noise"]
    wanted += [name for name in (*evaluation["predictors"], *evaluation["references"]) if name not in wanted]
    return [name for name in wanted if name in evaluation["overall"]]
