"""The check's report as one page: no script, no link, readable in print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from medmd.data.check._findings import CheckReport, Finding
from medmd.data.check._histogram import COLOURS, histogram_svg

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #f5f6f8; margin: 0; }
main { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
section { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px; padding: 1rem 1.4rem; margin: 1rem 0; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
.verdict { display: inline-block; padding: .15rem .7rem; border-radius: 1rem; font-weight: 600; color: #fff; }
.good { background: #1a7f4b; } .bad { background: #b3261e; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .7rem .3rem 0; }
th { font-weight: 600; border-bottom: 2px solid #dfe3e8; } td { border-bottom: 1px solid #eceff2; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.refusal { color: #b3261e; font-weight: 600; } .warning { color: #8a5a00; font-weight: 600; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; }
.quiet { color: #5b6675; } svg { width: 100%; height: auto; }
"""


def render(report: CheckReport) -> str:
    """The whole page."""
    parts = [_head(report), _findings(report)]
    if report.summary:
        parts += [_counts(report.summary), _people(report.summary), _target(report.summary)]
    body = "\n".join(f"<section>{part}</section>" for part in parts)
    title = f"Check of {escape(report.name)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _head(report: CheckReport) -> str:
    verdict = '<span class="verdict good">usable</span>' if report.ok else '<span class="verdict bad">refused</span>'
    how = "Contents were read and compared." if report.hashed else "Headers only: contents were not compared."
    return (
        f"<h1>Check of {escape(report.name)} {verdict}</h1>"
        f'<p class="quiet">{len(report.refusals)} refusals, {len(report.warnings)} warnings. {how}</p>'
    )


def _findings(report: CheckReport) -> str:
    if not report.findings:
        return "<h2>Findings</h2><p>None.</p>"
    rows = [_finding(finding) for finding in report.findings]
    return "<h2>Findings</h2>" + _table(["", "rule", "case", "list", "input", "expected", "found", "how to fix"], rows)


def _finding(finding: Finding) -> list[str]:
    texts = (finding.rule, finding.case_id, finding.split, finding.input, finding.expected, finding.found, finding.fix)
    return [f'<span class="{finding.level}">{finding.level}</span>', *(escape(text or "") for text in texts)]


def _counts(summary: Mapping[str, Any]) -> str:
    splits = [
        [escape(name), str(part["cases"]), str(part["patients"]), str(part["targets"])]
        for name, part in summary["splits"].items()
    ]
    total = ["<b>all</b>", str(summary["cases"]), str(summary["patients"]), str(summary["target"]["known"])]
    inputs = [
        [escape(name), escape(spec["kind"]), str(spec["present"]), str(spec["missing"])]
        for name, spec in summary["inputs"].items()
    ]
    surrogate = summary["surrogate_patients"]
    note = (
        f'<p class="warning">{surrogate} cases have a surrogate patient id: both eyes of one patient may be told '
        "apart, so that a split by patient cannot be verified.</p>"
        if surrogate
        else ""
    )
    return (
        f"<h2>{escape(summary['name'])}</h2>{note}"
        + _table(["list", "cases", "patients", "targets"], [*splits, total], numbers=3)
        + "<p></p>"
        + _table(["input", "kind", "present", "missing"], inputs, numbers=2)
    )


def _people(summary: Mapping[str, Any]) -> str:
    age = summary["age"]
    rows = [
        ["laterality", _listed(summary["laterality"])],
        ["sex", _listed(summary["sex"])],
        ["age (years)", f"{age['min']:g} – {age['max']:g}, median {age['median']:g}" if age["known"] else "unknown"],
        ["age known", str(age["known"])],
    ]
    return "<h2>Eyes and people</h2>" + _table(["", ""], rows)


def _target(summary: Mapping[str, Any]) -> str:
    target = summary["target"]
    unit = f" ({escape(target['unit'])})" if target["unit"] else ""
    title = f"<h2>Target: {escape(target['name'])}{unit}</h2>"
    if target["histogram"] is None:
        return title + "<p>No known target.</p>"
    names = list(target["histogram"]["counts"])
    legend = "".join(
        f'<span class="key" style="background:{colour}"></span>{escape(name)}'
        for name, colour in zip(names, COLOURS, strict=False)
    )
    numbers = _classes(target) or (
        f"<p>{target['known']} known; mean {target['mean']:.2f}, standard deviation {target['std']:.2f}, "
        f"{target['min']:g} to {target['max']:g}, median {target['median']:.2f}.</p>"
    )
    return title + numbers + f"<p>{legend}</p>" + histogram_svg(target["histogram"], target["name"], target["unit"])


def _classes(target: Mapping[str, Any]) -> str:
    """Of classes how many cases each has; of several tasks their names."""
    if "tasks" in target:
        return f"<p>{target['known']} known; the tasks {escape(', '.join(target['tasks']))}, all in one histogram.</p>"
    return f"<p>{target['known']} known; {_listed(target['classes'])}.</p>" if "classes" in target else ""


def _listed(counts: Mapping[str, int]) -> str:
    return escape(", ".join(f"{name}: {number}" for name, number in counts.items()))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    plain = len(heads) - numbers

    def cells(tag: str, texts: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="n">{text}</{tag}>' if place >= plain else f"<{tag}>{text}</{tag}>"
            for place, text in enumerate(texts)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', heads)}</tr>{body}</table>"
