"""A conversion's report as one page: no script, no link, readable in print."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from data_prep._report import ConversionReport, Tally, some

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #f5f6f8; margin: 0; }
main { max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }
section { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; padding: 1rem 1.4rem; margin: 1rem 0; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 .6rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .7rem .3rem 0; }
th { border-bottom: 2px solid #dfe3e8; } td { border-bottom: 1px solid #eceff2; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.verdict { display: inline-block; padding: .15rem .7rem; border-radius: 1rem; font-size: .9rem; color: #fff; }
.good { background: #1a7f4b; } .fair { background: #8a5a00; } .bad { background: #b3261e; }
.quiet { color: #5b6675; } svg, img { max-width: 100%; height: auto; } td:last-child { overflow-wrap: anywhere; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; }
"""


def render(
    report: ConversionReport,
    cohorts: Mapping[str, Mapping[str, Any]],
    *,
    contact_sheet: bytes | None = None,
    flow: bytes | None = None,
    sections: Sequence[str] = (),
    hint: str = "",
) -> str:
    """The whole page.

    Args:
        report: of the conversion.
        cohorts: datalist -> its summary as `medmd.data.check.summarise` gives it.
        contact_sheet: a PNG to show.
        flow: a PNG of the flow diagram.
        sections: further sections as HTML, shown after the cohorts.
        hint: a sentence on how to find what is set aside.
    """
    parts = [_head(report), _flow(report.tallies, flow), _quarantine(report, hint)]
    parts += [_cohort(name, summary) for name, summary in cohorts.items()]
    parts += sections
    if contact_sheet is not None:
        parts.append("<h2>Contact sheet</h2>" + picture("Contact sheet", contact_sheet))
    parts.append(_details(report))
    body = "\n".join(f"<section>{part}</section>" for part in parts)
    title = f"Conversion by {escape(report.converter)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _head(report: ConversionReport) -> str:
    kind, word = "good", "done"
    if report.faulty:
        kind, word = "fair", "done with quarantine"
    if not report.usable:
        kind, word = "bad", "nothing usable"
    lines = "".join(f"<p>{escape(line)}</p>" for line in report.summary)
    return (
        f'<h1>Conversion by {escape(report.converter)} <span class="verdict {kind}">{word}</span></h1>'
        f'<p class="quiet">{escape(str(report.source.get("release", "")))}</p>{lines}'
    )


def _flow(tallies: Sequence[Tally], figure: bytes | None) -> str:
    rows = [
        [escape(tally.name), *map(str, (tally.total, tally.converted, tally.merged, tally.excluded_count))]
        for tally in tallies
    ]
    numbers = table(["", "in", "= converted", "+ merged", "+ set aside"], rows, numbers=4)
    drawn = "" if figure is None else picture("Flow diagram", figure)
    return "<h2>What became of what came in</h2>" + numbers + drawn


def _quarantine(report: ConversionReport, hint: str) -> str:
    rows = [
        [
            escape(tally.name),
            str(len(items)),
            escape(report.reasons.get(reason, reason)),
            escape(report.fixes.get(reason, "")),
            escape(some(items)),
        ]
        for tally in report.tallies
        for reason, items in sorted(tally.excluded.items())
    ]
    title = "<h2>Set aside</h2>"
    if not rows:
        return f"{title}<p>Nothing.</p>"
    where = "Nothing is copied or moved: the originals lie where they were. report.json lists all."
    return f'{title}<p class="quiet">{where} {escape(hint)}</p>' + table(
        ["of", "how many", "why", "what to do", "which"], rows
    )


def _cohort(name: str, summary: Mapping[str, Any]) -> str:
    splits = [
        [escape(split), str(part["cases"]), str(part["patients"]), str(part["targets"])]
        for split, part in summary["splits"].items()
    ]
    facts = [
        [escape(what), escape(", ".join(f"{key}: {count}" for key, count in summary[what].items()))]
        for what in ("laterality", "sex")
    ]
    facts += [
        [f"input {escape(key)}", f"{spec['present']} present, {spec['missing']} missing"]
        for key, spec in summary["inputs"].items()
    ]
    return (
        f"<h2>{escape(name)}</h2>"
        + table(["list", "cases", "patients", "targets"], splits, numbers=3)
        + table(["", ""], facts)
        + _target(summary["target"])
    )


def _target(target: Mapping[str, Any]) -> str:
    if target["histogram"] is None:
        return "<p>No targets.</p>"
    from medmd.data.check import COLOURS, histogram_svg

    legend = "".join(
        f'<span class="key" style="background:{colour}"></span>{escape(name)}'
        for name, colour in zip(target["histogram"]["counts"], COLOURS, strict=False)
    )
    unit = f" {target['unit']}" if target["unit"] else ""
    return (
        f"<h3>{escape(target['name'])}</h3><p>{target['known']} known; mean {target['mean']:.2f}, standard deviation "
        f"{target['std']:.2f}, {target['min']:g} to {target['max']:g}, median {target['median']:.2f}{escape(unit)}.</p>"
        f"<p>{legend}</p>" + histogram_svg(target["histogram"], target["name"], target["unit"])
    )


def _details(report: ConversionReport) -> str:
    rows = [
        [escape(name), _plain(value)]
        for name, value in [("arguments", report.arguments), ("source", report.source), *report.facts.items()]
    ]
    return "<h2>Details</h2>" + table(["", ""], rows)


def _plain(value: Any) -> str:
    """JSON values for a reader, one line an entry."""
    if isinstance(value, Mapping):
        return "<br>".join(f"{escape(str(key))}: {_inline(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return "<br>".join(_inline(item) for item in value) or "none"
    return _inline(value)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(key))} {_inline(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return escape(some([str(item) for item in value])) or "none"
    return escape("none" if value is None else str(value))


def picture(name: str, png: bytes) -> str:
    """A PNG within the page."""
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    """A table of texts that are HTML already.

    Args:
        heads: of the columns.
        rows: as many cells each.
        numbers: how many columns at the right are numbers.
    """
    plain = len(heads) - numbers

    def cells(tag: str, texts: Sequence[str]) -> str:
        kinds = ["" if place < plain else ' class="n"' for place in range(len(texts))]
        return "".join(f"<{tag}{kind}>{text}</{tag}>" for kind, text in zip(kinds, texts, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', heads)}</tr>{body}</table>"
