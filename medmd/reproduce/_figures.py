"""Figures of reproduced items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmd.report.drawing import (
    BLUE,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    legend_below,
    name_axes,
    new_figure,
    png,
    title_figure,
)


def bars_figure(
    entries: Sequence[Mapping[str, Any]], *, statistic: str, title: str, detail: str, y: str
) -> bytes | None:
    """A bar for each row with its interval, as PNG."""
    shown = [entry for entry in entries if entry["metrics"][statistic]["estimate"] is not None]
    if not shown:
        return None
    # Wide enough for the headline, too.
    figure, axes = new_figure(size=(max(6.5, 1.6 + 0.85 * len(shown)), 4.4))
    axis = axes[0, 0]
    for at, entry in enumerate(shown):
        ends = entry["metrics"][statistic]
        axis.bar(at, ends["estimate"], width=0.65, color=ORANGE if entry["name"].startswith("unimodal_") else BLUE)
        if ends["low"] is not None:
            axis.plot([at, at], [ends["low"], ends["high"]], color="black", linewidth=1.6)
    axis.set_xticks(range(len(shown)), [_wrapped(entry["title"]) for entry in shown], fontsize=8)
    name_axes(axis, y=y)
    title_figure(figure, title, detail)
    return png(figure)


def sweep_figure(
    panels: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]], *, reference: Any, title: str
) -> bytes | None:
    """One panel a swept setting: R2 with its interval at each value, and a reference row as a band."""
    filled = {name: points for name, points in panels.items() if points}
    if not filled:
        return None
    figure, axes = new_figure(1, len(filled), size=(max(6.5, 3.4 * len(filled)), 3.8), sharey=True)
    for axis, (name, points) in zip(axes[0], filled.items(), strict=True):
        for at, (_, ends) in enumerate(points):
            if ends["low"] is not None:
                axis.plot([at, at], [ends["low"], ends["high"]], color=BLUE, linewidth=1.4)
        axis.plot(range(len(points)), [ends["estimate"] for _, ends in points], color=BLUE, marker="o", markersize=4)
        if reference is not None:
            axis.axhline(reference["estimate"], color=GREY, linestyle="--", linewidth=1, label="UniformSum")
        axis.set_xticks(range(len(points)), [value for value, _ in points])
        name_axes(axis, title=name, y="R2" if axis is axes[0, 0] else "")
    title_figure(figure, title, "points: estimate, lines: 95 % intervals; dashed: UniformSum with as many steps")
    return png(figure)


def groups_figure(
    groups: Sequence[str], rows: Mapping[str, Sequence[Mapping[str, Any]]], *, title: str, detail: str, y: str
) -> bytes | None:
    """Errors of every row in each group, side by side."""
    if not rows:
        return None
    figure, axes = new_figure(size=(8.0, 4.6))
    axis = axes[0, 0]
    handles = []
    for place, (name, entries) in enumerate(rows.items()):
        shift = (place - (len(rows) - 1) / 2) * 0.8 / max(1, len(rows))
        colour, marker = _mark(place)
        for at, ends in enumerate(entries):
            if ends["low"] is not None:
                axis.plot([at + shift] * 2, [ends["low"], ends["high"]], color=colour, linewidth=1.2)
        values = [np.nan if ends["estimate"] is None else ends["estimate"] for ends in entries]
        places = np.arange(len(entries)) + shift
        handles += axis.plot(places, values, color=colour, marker=marker, markersize=5, linestyle="none", label=name)
    axis.set_xticks(range(len(groups)), groups)
    name_axes(axis, y=y)
    title_figure(figure, title, detail)
    legend_below(figure, handles)
    return png(figure)


def _mark(place: int) -> tuple[str, str]:
    """Colour and marker of a row; where colours come again, they come with another marker."""
    turn, colour = divmod(place, len(PALETTE))
    return PALETTE[colour], MARKERS[(colour + turn) % len(MARKERS)]


def curves_figure(
    panels: Mapping[str, Mapping[str, NDArray[np.float64]]], *, title: str, detail: str, y: str
) -> bytes | None:
    """Lines over epochs, a panel each; `{panel: {line: (N, 2)}}`."""
    filled = {name: lines for name, lines in panels.items() if lines}
    if not filled:
        return None
    figure, axes = new_figure(1, len(filled), size=(1.2 + 3.6 * len(filled), 4.0))
    handles: list[Any] = []
    for axis, (name, lines) in zip(axes[0], filled.items(), strict=True):
        handles = []
        for (label, values), colour in zip(lines.items(), PALETTE, strict=False):
            handles += axis.plot(values[:, 0], values[:, 1], color=colour, linewidth=1.3, label=label)
        name_axes(axis, title=name, x="epoch", y=y)
    title_figure(figure, title, detail)
    legend_below(figure, handles)
    return png(figure)


def _wrapped(text: str) -> str:
    words, lines = text.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 12 and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
