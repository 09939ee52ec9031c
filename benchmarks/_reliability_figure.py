"""The drift of the arithmetic as one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

_PANELS = (
    ("loss", "difference of the losses"),
    ("gamma", "difference of SGM's factor gamma"),
    ("weights_relative", "distance of the weights / their length"),
    ("predictions_rms_db", "predictions, root mean square difference, dB"),
)
_COLOURS = {"float64": "#0072B2", "nudged": "#D55E00", "threads": "#009E73"}
_LABELS = {
    "float64": "float32 and float64",
    "nudged": "float32 and one weight nudged",
    "threads": "1 and 2 threads",
}


def draw_drift(drift: Mapping[str, Any]) -> bytes:
    """A PNG: one panel a quantity over the steps, one line a pair of lanes, logarithmic; equal numbers are gaps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), dpi=110, layout="constrained", facecolor="white")
    for panel, (key, title) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for name, pair in drift["pairs"].items():
            steps = pair["steps"] if len(pair[key]) == len(pair["steps"]) else range(1, len(pair[key]) + 1)
            values = [value or float("nan") for value in pair[key]]
            panel.plot(steps, values, color=_COLOURS[name], label=_LABELS[name], linewidth=1.3)
        panel.set_yscale("log")
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("step of stage 2", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(visible=True, color="#E4E4E4", linewidth=0.7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8.5, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
