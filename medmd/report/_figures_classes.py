"""Figures of predicted classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from medmd.report._evaluate import Evaluation
from medmd.report._format import with_interval
from medmd.report._style import BLUE, GREY, name_axes, new_figure, title_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Label = Callable[[str], str]

_DARK = 0.55
_MOST_WRITTEN = 12


def confusion_figure(evaluation: Evaluation, predictor: str, label: Label) -> Figure:
    """How often each true class (row) was predicted as each class (column); the colour is the share of the row."""
    names = evaluation["target"]["classes"]
    counts = np.asarray(evaluation["overall"][predictor]["confusion"], dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.5 * min(len(names), _MOST_WRITTEN)
    figure, axes = new_figure(size=(side + 0.8, side))
    axis = axes[0, 0]
    axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axis.grid(visible=False)
    if len(names) <= _MOST_WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > _DARK else "black"
            axis.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 3 else 0, ha="right")
    axis.set_yticks(
        range(len(names)), [f"{name} ({int(n)})" for name, n in zip(names, counts.sum(axis=1), strict=True)]
    )
    name_axes(axis, x="predicted", y="true (cases)")
    accuracy = with_interval(evaluation["overall"][predictor]["accuracy"])
    title_figure(figure, f"Confusion matrix: {label(predictor)}", f"accuracy {accuracy}")
    return figure


def classifiers_figure(evaluation: Evaluation, label: Label) -> Figure:
    """Balanced accuracy with its interval of all predictors and references, one below the other."""
    columns = [*evaluation["predictors"], *evaluation["references"]]
    figure, axes = new_figure(size=(6.8, 1.5 + 0.34 * len(columns)))
    axis = axes[0, 0]
    for place, column in enumerate(columns):
        entry = evaluation["overall"][column]["balanced_accuracy"]
        if entry["estimate"] is None:
            continue
        colour = GREY if column in evaluation["references"] else BLUE
        if entry["low"] is not None:
            axis.plot([entry["low"], entry["high"]], [place, place], color=colour, linewidth=2)
        axis.plot([entry["estimate"]], [place], color=colour, marker="o", markersize=6)
    axis.axvline(1 / len(evaluation["target"]["classes"]), color="black", linewidth=0.8)
    axis.set_xlim(-0.02, 1.02)
    axis.set_yticks(range(len(columns)), [label(column) for column in columns])
    axis.set_ylim(len(columns) - 0.4, -0.6)
    level = 100 * evaluation["bootstrap"]["level"]
    title_figure(
        figure,
        "All predictors (blue) and references (grey)",
        f"balanced accuracy with {level:g} % intervals by patient; the line is chance",
    )
    name_axes(axis, x="balanced accuracy, 1 is perfect")
    return figure
