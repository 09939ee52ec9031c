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
_LETTERS, _WIDE_LETTERS = 46, 150
# As wide as a digit, so that numbers stand below each other.
_BLANK = "\u2007"
_INK, _EDGE = "#1c2430", "#8792a2"
_FOUND, _ASIDE, _USED = "#eef2f8", "#fdf3e3", "#e3f3ea"
_NAMES = {"vf": "visual fields", "oct": "OCT volumes", "fundus": "photographs"}
_MOST_REASONS = 14
_MIDDLE = 1


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
    rows: list[list[_Box | None]] = [*_top(flow, reasons), *_transposed(columns), [_bottom(flow)]]
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


def _top(flow: Flow, reasons: Mapping[str, str]) -> list[list[_Box | None]]:
    if flow.files is None:
        return []
    examinations = sum(stage.found for stage in flow.kinds.values())
    aside = _reasons(flow.files.excluded, reasons, "files set aside", letters=_WIDE_LETTERS)
    title = "examinations without what pairing needs"
    aside += _reasons(flow.unpaired, reasons, title, letters=_WIDE_LETTERS)
    told = f"{examinations} examinations of {flow.eyes.found} eyes of {flow.patients.found} patients"
    rows: list[list[_Box | None]] = [[_Box([f"{flow.files.found} files"], _FOUND)]]
    if aside:
        rows.append([_Box(aside, _ASIDE)])
    return [*rows, [_Box([told], _FOUND)]]


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


def _reasons(
    counts: Mapping[str, int], reasons: Mapping[str, str], title: str, *, letters: int = _LETTERS
) -> list[str]:
    if not counts:
        return []
    lines = [f"{sum(counts.values())} {title}"]
    shown = list(counts.items())[:_MOST_REASONS]
    for reason, count in shown:
        text = f"{_aligned(count)}  {reasons.get(reason, reason.replace('-', ' '))}"
        lines += textwrap.wrap(text, letters, subsequent_indent=7 * _BLANK)
    rest = sum(counts.values()) - sum(count for _, count in shown)
    return [*lines, f"{_aligned(rest)}  for further reasons"] if rest else lines


def _aligned(count: int) -> str:
    return str(count).rjust(6, _BLANK)


def _transposed(columns: Sequence[Sequence[_Box | None]]) -> list[list[_Box | None]]:
    rows: list[list[_Box | None]] = [list(row) for row in zip(*columns, strict=True)]
    return [row for row in rows if any(box is not None for box in row)]


def _draw(axes: Any, rows: Sequence[Sequence[_Box | None]], heights: Sequence[float], width: float, top: float) -> None:
    """Boxes from the top down, with arrows from each row to the next: within a column, or from or to a wide box."""
    upper = top - _MARGIN
    # Column -> lower end of the last box in it. A wide box is in the middle one until three follow it.
    ends: dict[int, float] = {}
    for row, height in zip(rows, heights, strict=True):
        wide = len(row) == 1
        if not wide and list(ends) == [_MIDDLE]:
            ends = dict.fromkeys(range(len(row)), ends[_MIDDLE])
        for column, box in enumerate(row):
            if box is not None:
                for above in ends if wide else {column} & set(ends):
                    _arrow(axes, _MARGIN + _WIDTH / 2 + above * (_WIDTH + _GAP), ends[above], upper)
                left = _MARGIN + column * (_WIDTH + _GAP)
                _paint(axes, box, left, upper, width - 2 * _MARGIN if wide else _WIDTH)
                ends = ends | {column: upper - box.height}
        if wide:
            ends = {_MIDDLE: ends[0]}
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
