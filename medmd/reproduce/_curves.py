"""Figure 2: losses of single-modality heads on all, head and tail data, and the loss around the minima."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medmd.comparison.formatting import named
from medmd.data import load_datalist
from medmd.report import read_history
from medmd.report.drawing import PALETTE, legend_below, name_axes, new_figure, png, title_figure
from medmd.reproduce._bundle import LANDSCAPES, SUBSETS, trainings
from medmd.reproduce._figures import curves_figure
from medmd.reproduce._items import Item
from medmd.reproduce._landscape import Slice, filter_direction, loss_slice
from medmd.reproduce._page import Page
from medmd.reproduce._trained import model_and_loss

_LINE, _PLANE = 21, 11
_REACH = 1.0
_LEVELS, _LEAST = 13, 1e-6
_TITLES = {"joint_loss": "JointLoss", "uniform_sum": "UniformSum", "mmpareto": "MMPareto", "sgm": "SGM"}


def curves_page(
    item: Item,
    folders: Mapping[str, Path],
    *,
    datalist: Path | None,
    place: str = "",
    seed: int = 0,
    plane: int = _PLANE,
) -> Page:
    """What of the figure there are trainings for.

    Args:
        item: what to show.
        folders: finished trainings by their names in `trainings`.
        datalist: of the cases, for the landscapes.
        place: data set, for the reader.
        seed: of the directions.
        plane: points a side of the two-dimensional slice.
    """
    page = Page(item.name, f"{item.title}{f' ({place})' if place else ''}")
    page.say(f"The paper's claim: {item.claim} It prints a figure without numbers.")
    page.missing += [name for name in trainings() if name not in folders]
    if page.missing:
        page.say(f"Not trained yet: {', '.join(page.missing)}; `--run` trains them.", note=True)
    histories = {name: read_history(folder / "history.csv") for name, folder in folders.items()}
    _add_curves(page, histories, "alone", "a", "each modality trained alone")
    _add_curves(page, histories, "mmpareto", "bc", "heads of single modalities under MMPareto")
    if datalist is not None:
        _add_landscapes(page, folders, datalist, seed=seed, plane=plane)
    return page


def loss_curves(history: pd.DataFrame, kind: str) -> dict[str, NDArray[np.float64]]:
    """Mean regression loss of each epoch by modality, (epochs, 2)."""
    if kind == "alone":
        rows = history[(history["stage"] == "pretrain") & history["name"].str.endswith("/regression")]
        names = rows["name"].str.split("/").str[0]
    else:
        rows = history[(history["stage"] == "train") & history["name"].str.startswith("loss_")]
        names = rows["name"].str.removeprefix("loss_")
    found = {}
    for name, part in rows.assign(modality=names).groupby("modality", sort=False):
        if name not in ("fusion",):
            means = part.dropna(subset=["value"]).groupby("epoch")["value"].mean()
            found[str(name)] = np.column_stack([means.index.to_numpy(np.float64), means.to_numpy(np.float64)])
    return found


def roughness(curve: NDArray[np.float64]) -> float:
    """How much a curve swings: root mean square of its second differences over its mean."""
    if len(curve) < 3:
        return float("nan")
    return float(np.sqrt(np.mean(np.diff(curve[:, 1], n=2) ** 2)) / np.mean(np.abs(curve[:, 1])))


def _add_curves(page: Page, histories: Mapping[str, pd.DataFrame], kind: str, letter: str, words: str) -> None:
    curves = {
        subset: loss_curves(histories[f"{kind}-{subset}"], kind)
        for subset in SUBSETS
        if f"{kind}-{subset}" in histories
    }
    modalities = list(dict.fromkeys(name for by in curves.values() for name in by))
    if not modalities:
        return
    panels = {name: {subset: by[name] for subset, by in curves.items() if name in by} for name in modalities}
    cells = [
        [name, subset, f"{curve[-1, 1]:.3f}", f"{roughness(curve):.3f}"]
        for name, lines in panels.items()
        for subset, curve in lines.items()
    ]
    page.show(["head", "training cases", "loss of the last epoch", "roughness"], cells, texts=2)
    page.say(f"Losses of {words}. Roughness: root mean square of the curve's second differences over its mean.")
    page.numbers += [
        {"part": letter, "head": name, "cases": subset, "epoch": epoch, "loss": value}
        for name, lines in panels.items()
        for subset, curve in lines.items()
        for epoch, value in curve.tolist()
    ]
    figure = curves_figure(panels, title=f"Losses of {words}", detail="mean over each epoch's steps", y="training loss")
    page.draw(letter, f"Losses of {words}, on all, head and tail cases.", figure)


def _add_landscapes(page: Page, folders: Mapping[str, Path], datalist: Path, *, seed: int, plane: int) -> None:
    lines: dict[str, Slice] = {}
    planes: dict[str, Slice] = {}
    for method in LANDSCAPES:
        folder = folders.get(f"{method}-all")
        if folder is not None and (folder / "model").is_dir():
            network, loss = model_and_loss(folder, datalist)
            directions = [filter_direction(network, seed=seed + number) for number in range(2)]
            lines[method] = loss_slice(network, loss, directions[:1], steps=np.linspace(-_REACH, _REACH, _LINE))
            planes[method] = loss_slice(network, loss, directions, steps=np.linspace(-_REACH, _REACH, plane))
    if not lines:
        return
    cells = [
        [_TITLES[name], f"{lines[name].values.min():.2f}", f"{lines[name].rise:.2f}", f"{planes[name].rise:.2f}"]
        for name in lines
    ]
    mse = named("mse", load_datalist(datalist).header.target.unit)
    page.show(["method", f"least {mse} on the line", "rise along the line", "rise to the plane's border"], cells)
    page.say(
        "MSE of the fused head on validation cases, weights moved by up to their own length in one and two random "
        "directions, filter by filter (Li et al. 2018), in evaluation mode. A larger rise is a sharper minimum; the "
        "directions are few, and minima of unlike scale or loss cannot be compared well."
    )
    page.numbers += [
        {"part": "d", "method": name, "step": step, "loss": value}
        for name, found in lines.items()
        for step, value in zip(found.steps.tolist(), found.values.tolist(), strict=True)
    ]
    page.draw("d", "Loss along one direction around the trained weights.", _line_figure(lines, mse))
    page.draw("e", "Loss over two directions around the trained weights.", _plane_figure(planes, mse))


def _line_figure(lines: Mapping[str, Slice], mse: str) -> bytes:
    figure, axes = new_figure(size=(6.4, 4.2))
    handles: list[Any] = []
    for (name, found), colour in zip(lines.items(), PALETTE, strict=False):
        handles += axes[0, 0].plot(found.steps, found.values, color=colour, label=_TITLES[name])
    name_axes(axes[0, 0], x="step along a filter-normalised direction", y=mse)
    title_figure(figure, "The loss around the trained weights", "validation cases")
    legend_below(figure, handles)
    return png(figure)


def _plane_figure(planes: Mapping[str, Slice], mse: str) -> bytes:
    from matplotlib.colors import LogNorm

    figure, axes = new_figure(1, len(planes), size=(1.8 + 3.0 * len(planes), 3.4))
    # The same levels in all panels: where lines lie closer, the loss is steeper.
    everything = np.concatenate([found.values.ravel() for found in planes.values()])
    low = max(float(everything.min()), _LEAST)
    levels = np.geomspace(low, max(float(everything.max()), (1.0 + _LEAST) * low), _LEVELS)
    for axis, (name, found) in zip(axes[0], planes.items(), strict=True):
        drawn = axis.contourf(found.steps, found.steps, found.values, levels=levels, norm=LogNorm(), cmap="viridis")
        name_axes(axis, title=_TITLES[name], x="second direction", y="first" if axis is axes[0, 0] else "")
    figure.colorbar(drawn, ax=list(axes[0]), label=mse, format="%.3g")
    title_figure(figure, "The loss over two directions", "validation cases; the same colours in all panels")
    return png(figure)
