"""Figures of stage 2's gradient modulation; each is `None` when the method does not log its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from medmd.report._figures_history import series
from medmd.report._style import BLUE, GREY, ORANGE, RED, legend_below, name_axes, new_figure, running, title_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_STAGE = "train"
_FEWEST_FOR_CORRELATION = 3


def modulation_figure(history: pd.DataFrame) -> Figure | None:
    """Gamma and sharpness over the iterations, and one over the other (Yin et al., Fig. 5)."""
    gamma, sharpness = series(history, _STAGE, "gamma"), series(history, _STAGE, "sharpness")
    positive = sharpness[sharpness[:, 1] > 0]
    if len(gamma) == 0 or len(positive) == 0:
        return None
    figure, axes = new_figure(1, 3, size=(11.0, 3.8))
    left, middle, right = axes[0]
    _noisy(left, gamma, BLUE)
    name_axes(left, title="A  gamma", x="iteration", y="gamma")
    _noisy(middle, positive, ORANGE)
    middle.set_yscale("log")
    _plain_ticks(middle.yaxis)
    hidden = len(sharpness) - len(positive)
    note = f" ({hidden} not positive, not shown)" if hidden else ""
    name_axes(middle, title=f"A'  sharpness{note}", x="iteration", y="sharpness (log)")
    _, in_gamma, in_sharpness = np.intersect1d(gamma[:, 0], positive[:, 0], return_indices=True)
    x, y = positive[in_sharpness, 1], gamma[in_gamma, 1]
    right.scatter(x, y, s=12, c=BLUE, alpha=0.5, edgecolors="none")
    right.set_xscale("log")
    _plain_ticks(right.xaxis)
    name_axes(right, title=f"B  together{_correlation(x, y)}", x="sharpness (log)", y="gamma")
    title_figure(
        figure,
        "Sharpness-aware gradient modulation",
        "points: iterations; lines: running median. Gamma is made from sharpness: after warm-up, B must rise.",
    )
    return figure


def conflict_figure(history: pd.DataFrame) -> Figure | None:
    """Cosine between the gradients of the fused and the unimodal losses, and the share of conflicts in each epoch."""
    cosine = series(history, _STAGE, "cosine")
    if len(cosine) == 0:
        return None
    figure, axes = new_figure(2, 1, size=(7.0, 5.4), height_ratios=(2, 1))
    top, bottom = axes[:, 0]
    against = cosine[:, 1] < 0
    # Above the line: few conflicts must not hide behind it.
    look: dict[str, Any] = {"alpha": 0.7, "edgecolors": "none", "zorder": 3}
    handles = [
        top.scatter(*cosine[~against].T, s=18, c=BLUE, label="in agreement", **look),
        top.scatter(*cosine[against].T, s=24, c=RED, marker="^", label="in conflict", **look),
        *top.plot(*running(cosine).T, color="black", linewidth=1.6, zorder=2, label="running median"),
    ]
    top.axhline(0.0, color=GREY, linewidth=0.8)
    top.set_ylim(-1.05, 1.05)
    name_axes(top, x="iteration", y="cosine")
    share = _conflicts(history)
    bottom.bar(share.index, 100 * share, color=RED, width=0.8)
    bottom.set_ylim(0, 100)
    bottom.xaxis.get_major_locator().set_params(integer=True)
    name_axes(bottom, x="epoch", y="steps in conflict [%]")
    title_figure(
        figure,
        "Gradients of the fused and the unimodal losses on the encoders",
        f"in conflict (cosine < 0): {100 * against.mean():.1f} % of {len(cosine)} recorded steps",
    )
    legend_below(figure, handles)
    return figure


def _conflicts(history: pd.DataFrame) -> pd.Series:
    rows = history[(history["stage"] == _STAGE) & (history["name"] == "cosine")].dropna(subset=["value"])
    return (rows["value"] < 0).groupby(rows["epoch"]).mean()


def _noisy(axis: Axes, values: NDArray[np.float64], colour: str) -> None:
    axis.scatter(values[:, 0], values[:, 1], s=9, c=colour, alpha=0.4, edgecolors="none")
    axis.plot(*running(values).T, color="black", linewidth=1.4)


def _plain_ticks(axis: Axis) -> None:
    """A few plain numbers on a logarithmic axis of few decades, where the default labels run into one another."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if high < 100 * low:
        axis.set_major_locator(MaxNLocator(nbins=4) if high < 10 * low else LogLocator(subs=(1.0, 3.0)))
        axis.set_major_formatter(ScalarFormatter(useOffset=False))


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    if len(x) < _FEWEST_FOR_CORRELATION or x.min() == x.max() or y.min() == y.max():
        return ""
    return f" (Spearman {spearmanr(x, y).statistic:.2f})"
