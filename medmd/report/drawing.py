"""The look of all figures, for those who draw others in it."""

from medmd.report._figures_modulation import modulation_figure
from medmd.report._style import (
    BLUE,
    GREEN,
    GREY,
    MARKERS,
    ORANGE,
    PALETTE,
    RED,
    legend_below,
    name_axes,
    new_figure,
    png,
    title_figure,
)

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "MARKERS",
    "ORANGE",
    "PALETTE",
    "RED",
    "legend_below",
    "modulation_figure",
    "name_axes",
    "new_figure",
    "png",
    "title_figure",
]
