"""Figures of a comparison: differences to the baseline with intervals, and the critical-difference diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

from medmd.comparison._compare import HIGHER_IS_BETTER, LEVEL, Comparison
from medmd.comparison.formatting import CORRECTIONS, NAMES, title_of, unit_of
from medmd.report.drawing import BLUE, GREY, RED, name_axes, new_figure, png, title_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of a line below the axis, and of a row's name.
_WIDE = 70
_LETTERS = 46
# Of a line of a name beside the ranks, and from one name to the next, in units of the axis.
_BESIDE, _STEP = 32, 0.6


def difference_figure(comparison: Comparison) -> bytes | None:
    """Every row's paired difference to the baseline as PNG; None when nothing is compared."""
    rows = [row for row in comparison["rows"] if row["difference"] and row["difference"]["estimate"] is not None]
    if not rows:
        return None
    # Long names take two lines, and the axis keeps its width.
    names = [fill(title_of(comparison, row), _LETTERS) for row in rows]
    lines = sum(name.count("\n") + 1 for name in names)
    figure, axes = new_figure(size=(8.4, 1.6 + 0.16 * len(rows) + 0.16 * lines))
    axis = axes[0, 0]
    for at, row in enumerate(rows):
        difference = row["difference"]
        corrected = difference["p_corrected"]
        colour = RED if corrected is not None and corrected < LEVEL else BLUE
        if difference["low"] is not None:
            axis.plot([difference["low"], difference["high"]], [at, at], color=colour, linewidth=1.6)
        axis.plot(difference["estimate"], at, marker="o", markersize=5, color=colour)
    axis.axvline(0.0, color=GREY, linewidth=1)
    axis.set_yticks(range(len(rows)), names, fontsize=8.5)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    statistic, unit = NAMES[comparison["statistic"]], unit_of(comparison["statistic"], comparison["target"]["unit"])
    side = "right" if comparison["statistic"] in HIGHER_IS_BETTER else "left"
    base = next(row["title"] for row in comparison["rows"] if row["name"] == comparison["baseline"])
    name_axes(
        axis, x=fill(f"{statistic} minus that of {base}{f', {unit}' if unit else ''} (better to the {side})", _WIDE)
    )
    where = f"{comparison['dataset']}: " if comparison["dataset"] else ""
    correction = CORRECTIONS[comparison["correction"]]
    detail = f"{100 * comparison['level']:g} % intervals; red: permutation p, {correction}, below {LEVEL:g}"
    title_figure(figure, f"{where}paired differences to {base}", detail)
    return png(figure)


def critical_figure(ranking: Mapping[str, Any]) -> bytes:
    """The critical-difference diagram of Demsar as PNG: mean ranks, joined where they cannot be told apart."""
    size = len(ranking["rows"])
    names = [
        fill(f"{title} ({rank:.2f})", _BESIDE) for title, rank in zip(ranking["titles"], ranking["ranks"], strict=True)
    ]
    # 0.4 inches from one name to the next are room for three lines.
    figure, axes = new_figure(size=(9.6, 2.0 + 0.2 * size + 0.12 * len(ranking["groups"])))
    axis = axes[0, 0]
    axis.grid(visible=False)
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.set_yticks([])
    axis.set_xticks([])
    axis.set_xlim(0.5, size + 0.5)
    axis.axhline(0.0, color="black", linewidth=1.2)
    # So many numbers as have room beside each other.
    every = 1 if size < 20 else 5
    for rank in range(1, size + 1):
        axis.plot([rank, rank], [0.0, 0.12], color="black", linewidth=1.0)
        if rank % every == 0 or rank in (1, size):
            axis.annotate(str(rank), (rank, 0.2), fontsize=8.5, ha="center")
    lowest = _draw_groups(axis, ranking)
    _draw_names(axis, names, ranking["ranks"], lowest)
    distance = min(ranking["critical_difference"], size - 1.0)
    axis.plot([1, 1 + distance], [0.9, 0.9], color=GREY, linewidth=3)
    axis.annotate(f"critical difference {ranking['critical_difference']:.2f}", (1, 1.1), fontsize=8.5, color=GREY)
    axis.set_ylim(lowest - _STEP * ((size + 1) // 2), 1.8)
    title_figure(
        figure,
        f"Mean ranks by {NAMES[ranking['statistic']]} over {ranking['blocks']} blocks "
        f"({_told(ranking['datasets'])}, each seed a block)",
        f"Friedman p = {ranking['p_value']:.2g}; bars join what Nemenyi at {ranking['level']:g} does not part",
    )
    return png(figure)


_NAMED = 3


def _told(datasets: Sequence[str]) -> str:
    """A few data sets by name, more by number: the title is one line."""
    names = [name for name in datasets if name]
    return f"{len(names)} data sets" if len(names) > _NAMED else ", ".join(names) or "one data set"


def _draw_groups(axis: Axes, ranking: Mapping[str, Any]) -> float:
    ranks = dict(zip(ranking["rows"], ranking["ranks"], strict=True))
    for at, group in enumerate(ranking["groups"], start=1):
        places = [ranks[name] for name in group]
        axis.plot([min(places) - 0.05, max(places) + 0.05], [-0.3 * at] * 2, color="black", linewidth=3.5)
    return -0.3 * (len(ranking["groups"]) + 1)


def _draw_names(axis: Axes, names: Sequence[str], ranks: Sequence[float], lowest: float) -> None:
    """The better half is written to the left, the other to the right, so that no line crosses another."""
    size = len(names)
    half = (size + 1) // 2
    for at, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        left = at < half
        height = lowest - _STEP * (at if left else size - 1 - at)
        end = 0.5 if left else size + 0.5
        axis.plot([rank, rank, end], [0, height, height], color=BLUE, linewidth=0.9)
        axis.annotate(
            name,
            (end, height),
            fontsize=8.5,
            va="center",
            ha="right" if left else "left",
            annotation_clip=False,
        )
