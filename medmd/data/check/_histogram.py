"""A stacked histogram as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

# Blue, orange and green that people with colour blindness tell apart (Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73")
_WIDTH, _HEIGHT = 900, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 10, 46
_TICKS = 5


def histogram_svg(histogram: Mapping[str, Any], name: str, unit: str) -> str:
    """Bars of the lists on top of each other.

    Args:
        histogram: `edges` (n + 1 numbers) and `counts`, list -> n counts.
        name: the target's name, for the axis.
        unit: its unit.
    """
    edges: Sequence[float] = histogram["edges"]
    counts: Mapping[str, Sequence[int]] = histogram["counts"]
    step, top = _scale(max(sum(column) for column in zip(*counts.values(), strict=True)))
    label = f"{escape(name)} ({escape(unit)})" if unit else escape(name)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Histogram of {label}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#5b6675">'
        + _grid(step, top)
        + _bars(edges, counts, top)
        + _axis(edges)
        + f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:g}" y="{_HEIGHT - 6}" text-anchor="middle">{label}</text></svg>'
    )


def _scale(highest: int) -> tuple[int, int]:
    """A round step of the count axis, and its upper end."""
    raw = max(highest, 1) / _TICKS
    power = 10 ** math.floor(math.log10(raw))
    step = max(1, round(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)))
    return step, step * math.ceil(max(highest, 1) / step)


def _grid(step: int, top: int) -> str:
    return "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(value, top):.1f}" y2="{_y(value, top):.1f}" '
        f'stroke="#e4e8ec"/><text x="{_LEFT - 8}" y="{_y(value, top) + 4:.1f}" text-anchor="end">{value}</text>'
        for value in range(0, top + 1, step)
    )


def _bars(edges: Sequence[float], counts: Mapping[str, Sequence[int]], top: int) -> str:
    bars = []
    for place in range(len(edges) - 1):
        below = 0
        left, right = _x(place, edges) + 1, _x(place + 1, edges) - 1
        for (name, column), colour in zip(counts.items(), COLOURS, strict=False):
            above = below + column[place]
            if column[place]:
                tip = f"{name}: {column[place]} from {edges[place]:g} to {edges[place + 1]:g}"
                bars.append(
                    f'<rect x="{left:.1f}" y="{_y(above, top):.1f}" width="{right - left:.1f}" '
                    f'height="{_y(below, top) - _y(above, top):.1f}" fill="{colour}">'
                    f"<title>{escape(tip)}</title></rect>"
                )
            below = above
    return "".join(bars)


def _axis(edges: Sequence[float]) -> str:
    every = max(1, math.ceil(len(edges) / 13))
    return "".join(
        f'<text x="{_x(place, edges):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{edges[place]:g}</text>'
        for place in range(0, len(edges), every)
    )


def _x(place: int, edges: Sequence[float]) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * place / (len(edges) - 1)


def _y(value: float, top: int) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top
