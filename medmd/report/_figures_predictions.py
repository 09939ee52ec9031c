"""Figures of a table of predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medmd.report._evaluate import Evaluation
from medmd.report._format import number, with_interval
from medmd.report._strata import severity_strata
from medmd.report._style import BLUE, GREY, MARKERS, ORANGE, PALETTE, RED, SKY, legend_below, name_axes, new_figure
from medmd.report._style import title_figure as _title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Label = Callable[[str], str]

_SEVERITY_COLOURS = (SKY, ORANGE, RED, BLUE)
_LOWEST_R2 = -1.0
_MOST_PREDICTORS = 6


def scatter_figure(rows: pd.DataFrame, evaluation: Evaluation, predictor: str, label: Label) -> Figure:
    """Predicted over measured, coloured by severity, with the identity and the calibration line."""
    figure, axes = new_figure(size=(5.4, 5.6))
    axis = axes[0, 0]
    known = rows.dropna(subset=["target", predictor])
    handles = _points(axis, known["target"], known["target"], known[predictor], evaluation)
    low, high = _limits(known["target"], known[predictor])
    handles += axis.plot([low, high], [low, high], color=GREY, linewidth=1, label="perfect prediction")
    axis.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    entry = evaluation["overall"][predictor]
    numbers = f"R2 {with_interval(entry['r2'])}, MAE {with_interval(entry['mae'])} {evaluation['target']['unit']}"
    _title(figure, f"Predicted and measured {target_text(evaluation)}: {label(predictor)}", numbers)
    name_axes(axis, x=f"measured {axis_text(evaluation)}", y=f"predicted {axis_text(evaluation)}")
    legend_below(figure, handles, columns=2)
    return figure


def bland_altman_figure(rows: pd.DataFrame, evaluation: Evaluation, predictor: str, label: Label) -> Figure:
    """Difference over mean of prediction and measurement, with bias and 95 % limits of agreement."""
    figure, axes = new_figure(size=(6.2, 5.0))
    axis = axes[0, 0]
    known = rows.dropna(subset=["target", predictor])
    middle, difference = (known[predictor] + known["target"]) / 2, known[predictor] - known["target"]
    handles = _points(axis, known["target"], middle, difference, evaluation)
    agreement, unit = evaluation["overall"][predictor]["bland_altman"], evaluation["target"]["unit"]
    axis.axhline(0.0, color=GREY, linewidth=0.8)
    for name, style, text in (
        ("bias", "-", "bias"),
        ("upper", "--", "+1.96 SD"),
        ("lower", "--", "-1.96 SD"),
    ):
        if agreement[name] is not None:
            axis.axhline(agreement[name], color="black", linestyle=style, linewidth=1.1)
            # Right of the axes, where no point can be.
            axis.annotate(
                f"{text}\n{number(agreement[name])} {unit}",
                (1.01, agreement[name]),
                xycoords=("axes fraction", "data"),
                fontsize=8.5,
                va="center",
            )
    _title(
        figure,
        f"Bland-Altman: {label(predictor)}",
        f"slope of the difference over the mean {number(agreement['slope'])} (negative: drawn to the mean)",
    )
    text = axis_text(evaluation)
    name_axes(axis, x=f"mean of predicted and measured {text}", y=f"predicted - measured {text}")
    legend_below(figure, handles)
    return figure


def severity_figure(evaluation: Evaluation, columns: Sequence[str], label: Label) -> Figure:
    """Mean absolute error with its interval in each stratum, the predictors side by side."""
    figure, axes = new_figure(size=(6.8, 4.8))
    axis = axes[0, 0]
    strata = [stratum for stratum in evaluation["severity"] if stratum["n"]]
    columns = list(columns)[:_MOST_PREDICTORS]
    handles = []
    for place, (column, colour, marker) in enumerate(zip(columns, PALETTE, MARKERS, strict=False)):
        shift = (place - (len(columns) - 1) / 2) * 0.7 / max(1, len(columns))
        entries = [(at + shift, stratum["metrics"][column]["mae"]) for at, stratum in enumerate(strata)]
        handles.append(_interval_points(axis, entries, colour, marker, label(column)))
    axis.set_xticks(range(len(strata)), [f"{s['name']}\nn = {s['n']}, {s['patients']} patients" for s in strata])
    axis.set_xlim(-0.5, len(strata) - 0.5)
    axis.set_ylim(bottom=0)
    axis.grid(visible=False, axis="x")
    target, level = evaluation["target"], 100 * evaluation["bootstrap"]["level"]
    _title(figure, f"Error by measured {target_text(evaluation)}", f"bars: {level:g} % intervals by patient")
    name_axes(axis, y=f"mean absolute error{_bracket(target['unit'])}")
    legend_below(figure, handles, columns=2)
    return figure


def predictors_figure(evaluation: Evaluation, label: Label) -> Figure:
    """R2 with its interval of all predictors and references, one below the other."""
    columns = [*evaluation["predictors"], *evaluation["references"]]
    figure, axes = new_figure(size=(6.8, 1.5 + 0.34 * len(columns)))
    axis = axes[0, 0]
    for place, column in enumerate(columns):
        entry = evaluation["overall"][column]["r2"]
        if entry["estimate"] is None:
            continue
        colour = GREY if column in evaluation["references"] else BLUE
        if entry["low"] is not None:
            axis.plot([entry["low"], entry["high"]], [place, place], color=colour, linewidth=2)
        axis.plot([entry["estimate"]], [place], color=colour, marker="o", markersize=6)
    lows = [evaluation["overall"][column]["r2"]["low"] for column in columns]
    cut = any(low is not None and low < _LOWEST_R2 for low in lows)
    if cut:
        axis.set_xlim(left=_LOWEST_R2 - 0.05)
    axis.set_xlim(right=1.02)
    axis.axvline(0.0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(columns)), [label(column) for column in columns])
    axis.set_ylim(len(columns) - 0.4, -0.6)
    level = 100 * evaluation["bootstrap"]["level"]
    _title(figure, "All predictors (blue) and references (grey)", f"R2 with {level:g} % intervals by patient")
    name_axes(axis, x=f"R2, 1 is perfect{f' (axis cut at {_LOWEST_R2:g})' if cut else ''}")
    return figure


def target_text(evaluation: Evaluation) -> str:
    """The target for a reader: "MD" for md."""
    name = str(evaluation["target"]["name"])
    return "MD" if name == "md" else name.replace("_", " ")


def axis_text(evaluation: Evaluation) -> str:
    """The target with its unit, as "MD [dB]"."""
    return target_text(evaluation) + _bracket(evaluation["target"]["unit"])


def _bracket(unit: str) -> str:
    return f" [{unit}]" if unit else ""


def _points(axis: Axes, target: pd.Series, x: pd.Series, y: pd.Series, evaluation: Evaluation) -> list[Any]:
    about = evaluation["target"]
    handles = []
    strata = severity_strata(target, target_name=about["name"], unit=about["unit"])
    size = 28 if len(x) < 400 else 12
    for stratum, colour, marker in zip(strata, _SEVERITY_COLOURS, MARKERS, strict=False):
        if stratum.rows.any():
            handles.append(
                axis.scatter(
                    x[stratum.rows],
                    y[stratum.rows],
                    s=size,
                    c=colour,
                    marker=marker,
                    alpha=0.8,
                    edgecolors="white",
                    linewidths=0.4,
                    label=f"{stratum.name} (n = {int(stratum.rows.sum())})",
                )
            )
    return handles


def _limits(*columns: pd.Series) -> tuple[float, float]:
    values = np.concatenate([column.to_numpy(np.float64) for column in columns])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def _interval_points(
    axis: Axes, entries: Sequence[tuple[float, dict[str, float | None]]], colour: str, marker: str, text: str
) -> Any:
    for at, entry in entries:
        if entry["low"] is not None and entry["high"] is not None:
            axis.plot([at, at], [entry["low"], entry["high"]], color=colour, linewidth=1.6)
    shown = [(at, entry["estimate"]) for at, entry in entries if entry["estimate"] is not None]
    x, y = zip(*shown, strict=True) if shown else ((), ())
    return axis.plot(x, y, color=colour, marker=marker, markersize=6, linestyle="none", label=text)[0]
