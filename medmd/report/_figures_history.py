"""Figures of the training's history; each is `None` when the history lacks its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medmd.report._style import GREY, PALETTE, legend_below, name_axes, new_figure, running, title_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STAGES = {"pretrain": "stage 1: each modality alone", "train": "stage 2: fusion"}
_NAMES = {"oct": "OCT", "": "total"}
_STYLES = ("-", "--", "-.", ":")


def training_curves_figure(history: pd.DataFrame, unit: str = "dB") -> Figure | None:
    """Training loss (mean of an epoch) above, validation error below, one column a stage."""
    stages = [stage for stage in _STAGES if any(_losses(history, stage)) or any(_validation(history, stage))]
    if not stages:
        return None
    of_classes = _is_of_classes(history)
    measure = "validation log loss" if of_classes else "validation RMSE" + (f" [{unit}]" if unit else "")
    figure, axes = new_figure(2, len(stages), size=(1.2 + 3.8 * len(stages), 5.6), sharex="col")
    colours = _colours(history)
    for column, stage in enumerate(stages):
        _draw_curves(axes[0, column], _losses(history, stage), colours)
        _draw_curves(axes[1, column], _validation(history, stage), colours, mark_best=True)
        name_axes(axes[0, column], title=_STAGES[stage], y="training loss")
        name_axes(axes[1, column], x="epoch", y=measure)
        axes[1, column].xaxis.get_major_locator().set_params(integer=True)
    title_figure(figure, "Training curves", "circle: lowest validation error")
    handles = {
        line.get_label(): line for axis in axes.flat for line in axis.get_lines() if line.get_linestyle() != "None"
    }
    legend_below(figure, list(handles.values()), columns=4)
    return figure


def margin_figure(history: pd.DataFrame) -> Figure | None:
    """The adaptive margin over the iterations of stage 1, and the share of anchors left without a positive."""
    margins = _by_modality(history, "margin")
    if not margins:
        return None
    shares = {
        f"{_NAMES.get(name, name)}, {part}": values
        for part in ("head", "tail")
        for name, values in _by_modality(history, f"share_without_positive_{part}").items()
    }
    figure, axes = new_figure(1 + bool(shares), 1, size=(6.6, 3.0 + 2.4 * bool(shares)), sharex=True)
    handles = _draw_lines(axes[0, 0], {_NAMES.get(name, name): values for name, values in margins.items()})
    name_axes(
        axes[0, 0], title="positive when the labels differ by less than the margin", y="margin (scale of the labels)"
    )
    if shares:
        _label_ends(axes[0, 0], handles)
        handles = _draw_lines(axes[1, 0], {name: running(values) for name, values in shares.items()})
        name_axes(axes[1, 0], title="anchors without a positive (running median)", y="share")
        axes[1, 0].set_ylim(-0.03, 1.03)
    axes[-1, 0].set_xlabel("iteration", fontsize=9.5)
    title_figure(figure, "Adaptive margin in stage 1")
    legend_below(figure, handles, columns=4)
    return figure


def series(history: pd.DataFrame, stage: str, name: str) -> NDArray[np.float64]:
    """The finite values of one name as rows (iteration, value), (N, 2), by iteration."""
    rows = history[(history["stage"] == stage) & (history["name"] == name)]
    values = rows[["iteration", "value"]].to_numpy(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    return values[np.argsort(values[:, 0], kind="stable")]


def _per_epoch(history: pd.DataFrame, stage: str, name: str) -> pd.Series:
    rows = history[(history["stage"] == stage) & (history["name"] == name)]
    return rows.dropna(subset=["value"]).groupby("epoch")["value"].mean()


def _losses(history: pd.DataFrame, stage: str) -> dict[str, pd.Series]:
    """Loss per epoch by modality ("" for the total)."""
    names = history.loc[history["stage"] == stage, "name"].unique()
    if stage == "pretrain":
        found = {name.removesuffix("/loss"): name for name in names if name.endswith("/loss")}
    else:
        found = {name.removeprefix("loss").removeprefix("_"): name for name in names if name.startswith("loss")}
    return {short: _per_epoch(history, stage, name) for short, name in found.items()}


def _validation(history: pd.DataFrame, stage: str) -> dict[str, pd.Series]:
    """Root of the validation's mean squared error, or its log loss of classes, per epoch by modality."""
    ending = "log_loss" if _is_of_classes(history) else "mse"
    names = history.loc[history["stage"] == stage, "name"].unique()
    found = {}
    for name in names:
        if name.endswith(f"/val_{ending}"):
            found[name.removesuffix(f"/val_{ending}")] = name
        elif name.startswith("val_") and name.endswith(f"_{ending}"):
            found[name.removeprefix("val_").removesuffix(f"_{ending}")] = name
    if stage == "pretrain":
        # Stage 1 trains no fusion head: its error there says nothing.
        found.pop("fusion", None)
    power = 0.5 if ending == "mse" else 1.0
    return {short: _per_epoch(history, stage, name) ** power for short, name in found.items()}


def _is_of_classes(history: pd.DataFrame) -> bool:
    return bool(history["name"].str.endswith("_log_loss").any())


def _colours(history: pd.DataFrame) -> dict[str, str]:
    """One colour and dash a modality, the same in every panel."""
    curves = [maker(history, stage) for stage in _STAGES for maker in (_losses, _validation)]
    names = list(dict.fromkeys(name for group in curves for name in group if name not in {"", "fusion"}))
    return {"fusion": "black", "": GREY} | {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(names)}


def _draw_curves(axis: Axes, curves: dict[str, pd.Series], colours: dict[str, str], *, mark_best: bool = False) -> None:
    for name, values in curves.items():
        # A single epoch is a point, not a line.
        marker = "." if len(values) < 3 else ""
        axis.plot(values.index, values, color=colours[name], marker=marker, label=_NAMES.get(name, name), linewidth=1.6)
        if mark_best and len(values):
            best = int(values.to_numpy().argmin())
            axis.plot(
                values.index[[best]],
                values.iloc[[best]],
                color=colours[name],
                marker="o",
                markersize=6,
                linestyle="None",
            )


def _by_modality(history: pd.DataFrame, name: str) -> dict[str, NDArray[np.float64]]:
    names = history.loc[history["stage"] == "pretrain", "name"].unique()
    found = {
        full.removesuffix(f"/{name}"): series(history, "pretrain", full) for full in names if full.endswith(f"/{name}")
    }
    return {modality: values for modality, values in found.items() if len(values)}


def _draw_lines(axis: Axes, lines: dict[str, NDArray[np.float64]]) -> list[Any]:
    return [
        # Equal curves lie on one another: dashes over solid lines show that there are two.
        axis.plot(*values.T, color=PALETTE[at % len(PALETTE)], linestyle=_STYLES[at % 4], linewidth=1.8, label=name)[0]
        for at, (name, values) in enumerate(lines.items())
    ]


def _label_ends(axis: Axes, handles: list[Any]) -> None:
    axis.legend(handles=handles, fontsize=8.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
