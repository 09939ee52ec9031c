"""The flow diagram as a picture."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from data_prep.hospital._flow import Flow, Stage

# In inches.
_LINE, _PAD, _GAP, _WIDTH, _MARGIN = 0.165, 0.12, 0.34, 3.3, 0.2
_LETTERS = 46
_INK, _EDGE = "#1c2430", "#8792a2"
_FOUND, _ASIDE, _USED = "#eef2f8", "#fdf3e3", "#e3f3ea"
_NAMES = {"vf": "visual fields", "oct": "OCT volumes", "fundus": "photographs"}
_MOST_REASONS = 14


class _Box(NamedTuple):
    lines: list[str]
    colour: str

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PAD


def flow_png(flow: Flow, reasons: Mapping[str, str]) -> bytes:
    """Draw the flow as boxes from top to bottom: found, set aside, used, cases.

    Args:
        flow: the numbers.
        reasons: reason -> words for it.

    Returns:
        A PNG; equal numbers give equal bytes with one version of matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = [_column(kind, stage, reasons) for kind, stage in flow.kinds.items()]
    rows: list[list[_Box | None]] = [_top(flow, reasons), *_transposed(columns), [_bottom(flow)]]
    rows = [row for row in rows if row]
    heights = [max(box.height for box in row if box is not None) for row in rows]
    width = 3 * _WIDTH + 2 * _GAP + 2 * _MARGIN
    height = sum(heights) + _GAP * (len(rows) - 1) + 2 * _MARGIN
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    _draw(axes, rows, heights, width, height)
    buffer = io.BytesIO()
    # Without the name and version of the program, which matplotlib would write into the file.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _top(flow: Flow, reasons: Mapping[str, str]) -> list[_Box | None]:
    if flow.files is None:
        return []
    examinations = sum(stage.found for stage in flow.kinds.values())
    found = [f"{flow.files.found} files", f"{flow.files.used} with readable examinations"]
    told = [
        f"{examinations} examinations of",
        f"{flow.eyes.found} eyes of {flow.patients.found} patients",
    ]
    boxes: list[_Box | None] = [_Box(found, _FOUND), _Box(told, _FOUND)]
    aside = _reasons(flow.files.excluded, reasons, "files set aside")
    aside += _reasons(flow.unpaired, reasons, "examinations without what pairing needs")
    return [*boxes, _Box(aside, _ASIDE) if aside else None]


def _column(kind: str, stage: Stage, reasons: Mapping[str, str]) -> list[_Box | None]:
    name = _NAMES[kind]
    aside = _reasons(stage.excluded, reasons, "not used")
    return [
        _Box([f"{stage.found} {name}"], _FOUND),
        _Box(aside, _ASIDE) if aside else None,
        _Box([f"{stage.used} {name} used"], _USED),
    ]


def _bottom(flow: Flow) -> _Box:
    total = sum(flow.pairs.values())
    parts = ", ".join(f"{count} with {_with(images)}" for images, count in flow.pairs.items())
    lines = [f"{total} cases: {flow.eyes.used} eyes of {flow.patients.used} patients"]
    return _Box([*lines, *([parts] if parts else [])], _USED)


def _with(images: str) -> str:
    return images.replace("oct", "OCT").replace(" + ", " and ") + ("" if "+" in images else " only")


def _reasons(counts: Mapping[str, int], reasons: Mapping[str, str], title: str) -> list[str]:
    if not counts:
        return []
    lines = [f"{sum(counts.values())} {title}"]
    shown = list(counts.items())[:_MOST_REASONS]
    for reason, count in shown:
        text = f"{count:>4}  {reasons.get(reason, reason.replace('-', ' '))}"
        lines += textwrap.wrap(text, _LETTERS, subsequent_indent=" " * 8, drop_whitespace=True, initial_indent="  ")
    rest = sum(counts.values()) - sum(count for _, count in shown)
    return [*lines, f"  {rest:>4}  for further reasons"] if rest else lines


def _transposed(columns: Sequence[Sequence[_Box | None]]) -> list[list[_Box | None]]:
    rows = [list(row) for row in zip(*columns, strict=True)]
    return [row for row in rows if any(box is not None for box in row)]


def _draw(axes: Any, rows: Sequence[Sequence[_Box | None]], heights: Sequence[float], width: float, top: float) -> None:
    """Boxes from the top down, and an arrow down from each to the next below it."""
    upper = top - _MARGIN
    before: dict[float, float] = {}
    for row, height in zip(rows, heights, strict=True):
        below: dict[float, float] = dict(before)
        for place, box in enumerate(row):
            middle = width / 2 if len(row) == 1 else _MARGIN + _WIDTH / 2 + place * (_WIDTH + _GAP)
            if box is None:
                continue
            for x in before if len(row) == 1 else [middle]:
                if x in before:
                    _arrow(axes, x, before[x], upper)
            wide = width - 2 * _MARGIN if len(row) == 1 else _WIDTH
            _paint(axes, box, middle - wide / 2, upper, wide)
            below[middle] = upper - box.height
        before = below
        upper -= height + _GAP


def _arrow(axes: Any, x: float, start: float, end: float) -> None:
    style = {"arrowstyle": "-|>", "color": _EDGE, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=(x, end), xytext=(x, start), arrowprops=style)


def _paint(axes: Any, box: _Box, left: float, upper: float, width: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = FancyBboxPatch(
        (left, upper - box.height), width, box.height, boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=box.colour, edgecolor=_EDGE, linewidth=1.0,
    )  # fmt: skip
    axes.add_patch(shape)
    for number, line in enumerate(box.lines):
        weight = "bold" if number == 0 else "normal"
        y = upper - _PAD - (number + 0.5) * _LINE
        axes.text(left + _PAD, y, line, fontsize=8.5, color=_INK, va="center", weight=weight)
