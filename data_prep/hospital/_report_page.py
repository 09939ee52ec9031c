"""The report's files: JSON, page, flow figure and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread, write_contact_sheet
from data_prep._html import render
from data_prep._output import OutputFolder
from data_prep._report import ConversionReport
from data_prep.hospital._preview import middle_slice
from medmd.utils import write_atomic

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

REPORT, PAGE, CONTACT_SHEET = "report.json", "report.html", "contact_sheet.png"
_SHOWN = 12


def write_report(report: ConversionReport, datalist: Datalist | None, output: OutputFolder) -> None:
    """Write everything that a person looks at.

    Args:
        report: of the conversion; what is known of the cohort is added to it.
        datalist: as written, or None.
        output: the folder.
    """
    from medmd.data.check import summarise

    cohorts = {} if datalist is None else {"datalist.json": summarise(datalist)}
    report.facts["cohorts"] = cohorts
    report.summary.extend(_summary(report, cohorts))
    picture = None
    if datalist is not None:
        write_contact_sheet(output.path / CONTACT_SHEET, _shown(datalist, output))
        output.record_written(CONTACT_SHEET)
        picture = (output.path / CONTACT_SHEET).read_bytes()
    output.write_json(REPORT, report.as_json())
    facts = {name: value for name, value in report.facts.items() if name != "cohorts"}
    page = ConversionReport(**{**vars(report), "facts": facts})
    write_atomic(output.path / PAGE, render(page, cohorts, contact_sheet=picture))
    output.record_written(PAGE)


def _shown(datalist: Datalist, output: OutputFolder) -> list[Shown]:
    """Middle slice and photograph of cases from the worst MD to the best."""
    ordered = sorted((case for _, case in datalist.cases()), key=lambda case: (_md(case), case.case_id))
    shown = []
    for place in spread(len(ordered), most=_SHOWN):
        case = ordered[place]
        caption = f"{case.case_id}\n{case.laterality}, {_md(case):.1f} dB"
        for name, file in case.inputs.items():
            if isinstance(file, str):
                path = output.path / file
                shown.append(Shown(middle_slice(path) if name == "oct" else path, caption))
    return shown


def _md(case: Case) -> float:
    return case.target if isinstance(case.target, float) else 0.0


def _summary(report: ConversionReport, cohorts: Mapping[str, Any]) -> list[str]:
    lines = [f"cases of {report.facts['patients']} patients and {report.facts['eyes']} eyes"] if cohorts else []
    for name, summary in cohorts.items():
        parts = ", ".join(f"{split} {part['cases']}" for split, part in summary["splits"].items())
        lines.append(f"{name}: {parts}")
    return lines
