"""The end of a conversion: what became of everything, as JSON for programs and as a page with pictures for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, write_contact_sheet
from data_prep._html import render
from data_prep._output import OutputFolder
from data_prep._report import ConversionReport
from medmd.utils import write_atomic

if TYPE_CHECKING:
    from medmd.data import Datalist

REPORT, PAGE, CONTACT_SHEET = "report.json", "report.html", "contact_sheet.png"


def summaries(datalists: Mapping[str, Datalist]) -> dict[str, dict[str, Any]]:
    """Datalist -> its cohort in numbers."""
    from medmd.data.check import summarise

    return {name: summarise(datalist) for name, datalist in datalists.items()}


def write_report(
    report: ConversionReport, cohorts: Mapping[str, Any], shown: Sequence[Shown], output: OutputFolder
) -> None:
    """Write `report.json`, `report.html` and, when there is something to show, `contact_sheet.png`.

    Args:
        report: complete.
        cohorts: datalist -> its summary, as `summaries` gives it.
        shown: pictures of the sheet.
        output: where to; all are recorded there.
    """
    picture = None
    if shown:
        write_contact_sheet(output.path / CONTACT_SHEET, shown)
        output.record_written(CONTACT_SHEET)
        picture = (output.path / CONTACT_SHEET).read_bytes()
    output.write_json(REPORT, {**report.as_json(), "cohorts": dict(cohorts)})
    write_page(report, cohorts, picture, output)


def write_page(
    report: ConversionReport, cohorts: Mapping[str, Any], picture: bytes | None, output: OutputFolder
) -> None:
    """Write `report.html` alone."""
    write_atomic(output.path / PAGE, render(report, cohorts, contact_sheet=picture))
    output.record_written(PAGE)


def cohort_lines(cohorts: Mapping[str, Any]) -> list[str]:
    """A line a datalist: cases by list, and how many have a label."""
    lines = []
    for name, summary in cohorts.items():
        parts = ", ".join(f"{split} {part['cases']}" for split, part in summary["splits"].items())
        lines.append(f"{name}: {parts}; {summary['target']['known']} with a label")
    return lines
