"""The paired differences of the GRAPE study as one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from benchmarks._grape_table import REFERENCES, STATISTICS

_TITLES = {"r2": "R2 (right is better)", "rmse": "RMSE, dB (left is better)", "mae": "MAE, dB (left is better)"}


def draw(rows: Mapping[str, Any]) -> bytes:
    """A PNG: one panel a metric, one line a row, difference to UniformSum with its 95 % interval."""
    from matplotlib.figure import Figure

    shown = [row for name, row in rows.items() if row["difference"] and name not in REFERENCES]
    figure = Figure(figsize=(11, 0.9 + 0.36 * max(len(shown), 3)), dpi=130, layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(STATISTICS), sharey=True)
    heights = list(range(len(shown)))[::-1]
    for panel, key in zip(panels, STATISTICS, strict=True):
        ends = [row["difference"][key] for row in shown]
        centres = [each["estimate"] for each in ends]
        arms = [[each["estimate"] - each["low"] for each in ends], [each["high"] - each["estimate"] for each in ends]]
        panel.axvline(0, color="#767676", linewidth=1)
        panel.errorbar(centres, heights, xerr=arms, fmt="o", color="#0072B2", markersize=4, capsize=2, linewidth=1.2)
        panel.set_xlabel(_TITLES[key], fontsize=9)
        panel.set_yticks(heights, [row["title"] for row in shown], fontsize=8.5)
        panel.tick_params(axis="x", labelsize=8)
        panel.grid(visible=True, axis="x", color="#E4E4E4", linewidth=0.7)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Difference to UniformSum, 95 % intervals over subjects and seeds", fontsize=10, x=0.02, ha="left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
