"""What is known of the cohort beyond its datalist, as sections of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from data_prep._html import table

_SPREAD = ("min", "first_quartile", "median", "third_quartile", "max")
_NAMES = {"vf": "visual field", "oct": "OCT", "fundus": "photograph"}
_QUALITY = "Measured of the pixels; the thresholds stand in the site file. Look at the contact sheet as well."


def sections(facts: Mapping[str, Any]) -> list[str]:
    """Ages, intervals, devices, choices and quality.

    Args:
        facts: of the report.
    """
    return [_ages(facts), _intervals(facts), _devices(facts), _choices(facts), _quality(facts)]


def _ages(facts: Mapping[str, Any]) -> str:
    return "<h2>Age at the visual field</h2>" + _histogram(
        facts["histograms"]["age"], "age", "years, 90 and above together"
    )


def _intervals(facts: Mapping[str, Any]) -> str:
    rows = [_spread_row(_NAMES[kind], spread) for kind, spread in facts["intervals_days"].items() if spread]
    return (
        "<h2>Days between visual field and image</h2>"
        + _histogram(facts["histograms"]["days"], "distance", "days")
        + table(["", "number", *(name.replace("_", " ") for name in _SPREAD)], rows, numbers=6)
    )


def _devices(facts: Mapping[str, Any]) -> str:
    rows = [
        [escape(_NAMES[kind]), escape(what), escape(name), str(count)]
        for what in ("devices", "formats")
        for kind, counts in facts[what].items()
        for name, count in counts.items()
    ]
    rows += [
        ["visual field", what, escape(name), str(count)]
        for what in ("patterns", "strategies", "reliability")
        for name, count in facts[what].items()
    ]
    return "<h2>Devices and tests</h2>" + table(["of", "what", "", "number"], rows, numbers=1)


def _choices(facts: Mapping[str, Any]) -> str:
    rows = [
        [escape(_NAMES[kind]), escape(why), str(count)]
        for kind, counts in facts["choices"].items()
        for why, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return "<h2>Why these images</h2>" + table(["", "chosen because", "cases"], rows, numbers=1)


def _quality(facts: Mapping[str, Any]) -> str:
    rows = [
        _spread_row(f"{_NAMES[kind]}: {name.replace('_', ' ')}", spread)
        for kind, measures in facts["quality"].items()
        for name, spread in measures.items()
        if spread
    ]
    heads = ["", "number", *(name.replace("_", " ") for name in _SPREAD)]
    return f'<h2>Quality of what is used</h2><p class="quiet">{_QUALITY}</p>' + table(heads, rows, numbers=6)


def _spread_row(name: str, spread: Mapping[str, float]) -> list[str]:
    return [escape(name), str(spread["count"]), *(f"{spread[key]:.4g}" for key in _SPREAD)]


def _histogram(histogram: Mapping[str, Any] | None, name: str, unit: str) -> str:
    if histogram is None:
        return "<p>None known.</p>"
    from medmd.data.check import COLOURS, histogram_svg

    parts: Sequence[str] = list(histogram["counts"])
    legend = "".join(
        f'<span class="key" style="background:{colour}"></span>{escape(_NAMES.get(part, part))}'
        for part, colour in zip(parts, COLOURS, strict=False)
    )
    return (f"<p>{legend}</p>" if len(parts) > 1 else "") + histogram_svg(histogram, name, unit)
