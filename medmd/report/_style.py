"""The look of all figures, by matplotlib's objects: no pyplot, hence no window and no global state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart with every common form of colour blindness.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY, BLACK)
# A second sign beside the colour, for prints in grey.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#767676"
_DPI = 130


def new_figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A figure in inches with its axes (rows, columns), laid out so that nothing overlaps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(visible=True, color="#E4E4E4", linewidth=0.7)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=9)
    return figure, axes


def name_axes(axis: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Title and axis labels in the common sizes; labels carry the unit."""
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel(x, fontsize=9.5)
    axis.set_ylabel(y, fontsize=9.5)


def title_figure(figure: Figure, title: str, detail: str = "") -> None:
    """A headline, and below it what it rests on."""
    figure.suptitle(f"{title}\n{detail}" if detail else title, fontsize=10.5, x=0.02, ha="left")


def legend_below(figure: Figure, handles: Sequence[Any], columns: int = 3) -> None:
    """A legend under the axes, where it covers no data."""
    if handles:
        labels = [str(handle.get_label()) for handle in handles]
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8.5, frameon=False)


def png(figure: Figure) -> bytes:
    """The figure as PNG, without the writer's version, so that equal figures are equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def running(values: NDArray[np.float64], *, parts: int = 25, points: int = 400) -> NDArray[np.float64]:
    """The trend behind noisy rows (x, y): medians of y over about 1/25 of the run, at 400 places at most, (M, 2)."""
    half = max(1, len(values) // (2 * parts))
    places = np.unique(np.linspace(0, len(values) - 1, min(points, len(values))).round().astype(int))
    medians = [np.median(values[max(0, at - half) : at + half + 1, 1]) for at in places]
    return np.column_stack([values[places, 0], medians])
