"""Figure 5: what gamma follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from medmd.report import read_history
from medmd.report.drawing import BLUE, ORANGE, modulation_figure, name_axes, new_figure, png, title_figure
from medmd.reproduce._items import Item
from medmd.reproduce._page import Page
from medmd.utils import MedmdError

_NAMES = ("gamma", "sharpness", "gradient_norm", "curvature")
_FEWEST = 3


def modulation_page(item: Item, folder: Path | None, *, place: str = "") -> Page:
    """Sharpness and gamma over the steps of one training, and what sharpness goes with.

    Args:
        item: what to show.
        folder: of a training with `history.csv`, or None when there is none.
        place: of the training, for the reader.
    """
    page = Page(item.name, f"{item.title}{f' ({place})' if place else ''}")
    page.say(f"The paper's claim: {item.claim} It is true by construction: gamma is made from sharpness.")
    if folder is None:
        page.say("No training with the numbers of every step: `--run` makes one, or name its folder with --run-dir.",
                 note=True)  # fmt: skip
        page.missing.append("run with history")
        return page
    history = read_history(folder / "history.csv")
    table = step_table(history)
    correlations = _correlations(table)
    page.show(["", *(name.replace("_", " ") for name in _NAMES)], _cells(correlations))
    page.say(f"Spearman's correlations over {len(table)} recorded steps of stage 2. {_reading(correlations)}")
    page.numbers += [
        {"first": first, "second": second, "spearman": value} for (first, second), value in correlations.items()
    ]
    figure = modulation_figure(history)
    page.draw("", "Gamma and sharpness over iterations, and together.", None if figure is None else png(figure))
    page.draw("origin", "Sharpness over the gradient's length and over curvature.", _origin_figure(table))
    return page


def step_table(history: pd.DataFrame) -> pd.DataFrame:
    """One row a step of stage 2 with gamma, sharpness, gradient_norm and curvature, those that were logged.

    Raises:
        MedmdError: the method logs no gamma.
    """
    rows = history[(history["stage"] == "train") & history["name"].isin(_NAMES)]
    table = rows.pivot_table(index="iteration", columns="name", values="value", aggfunc="first")
    if "gamma" not in table or "sharpness" not in table:
        msg = "history.csv: no gamma and sharpness in stage 2. Expected a training with SGM (methods/sgm)."
        raise MedmdError(msg)
    return table[[name for name in _NAMES if name in table]].dropna()


def _correlations(table: pd.DataFrame) -> dict[tuple[str, str], float | None]:
    found = {}
    for first in _NAMES:
        for second in _NAMES:
            if first in table and second in table:
                found[first, second] = _spearman(table[first].to_numpy(), table[second].to_numpy())
    return found


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    if len(x) < _FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(spearmanr(x, y).statistic)


def _cells(correlations: dict[tuple[str, str], float | None]) -> list[list[str]]:
    def text(first: str, second: str) -> str:
        value = correlations.get((first, second))
        return "–" if value is None else f"{value:.2f}"

    return [[first.replace("_", " "), *(text(first, second) for second in _NAMES)] for first in _NAMES]


def _reading(correlations: dict[tuple[str, str], float | None]) -> str:
    slope, curvature = correlations.get(("sharpness", "gradient_norm")), correlations.get(("sharpness", "curvature"))
    if slope is None or curvature is None:
        return ""
    text = f"Sharpness goes with the length of the gradient ({slope:.2f}) "
    text += "more than" if slope > abs(curvature) else "no more than"
    return (
        f"{text} with the loss's curvature along it ({curvature:.2f}): L(t + d) - L(t - d) is 2 rho |g| to the second "
        "order, and the Hessian cancels. Gamma therefore makes the steps of large gradients larger."
    )


def _origin_figure(table: pd.DataFrame) -> bytes | None:
    if len(table) < _FEWEST or "gradient_norm" not in table or "curvature" not in table:
        return None
    figure, axes = new_figure(1, 2, size=(8.4, 3.8))
    for axis, name, colour in zip(axes[0], ("gradient_norm", "curvature"), (BLUE, ORANGE), strict=True):
        axis.scatter(table[name], table["sharpness"], s=10, c=colour, alpha=0.5, edgecolors="none")
        value: Any = _spearman(table[name].to_numpy(), table["sharpness"].to_numpy())
        title = "" if value is None else f"Spearman {value:.2f}"
        name_axes(axis, title=title, x=name.replace("_", " "), y="sharpness" if axis is axes[0, 0] else "")
    title_figure(figure, "What the paper's sharpness measures", "points: steps of stage 2")
    return png(figure)
