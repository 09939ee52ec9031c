"""The report's files: JSON, page, flow figure and contact sheets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread, write_contact_sheet
from data_prep._html import render
from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep._report import ConversionReport
from data_prep.hospital._flow import Flow
from data_prep.hospital._flow_figure import flow_png
from data_prep.hospital._preview import middle_slice
from data_prep.hospital._report_sections import sections
from medmd.utils import write_atomic

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

REPORT, PAGE, CONTACT_SHEET, FLOW = "report.json", "report.html", "contact_sheet.png", "flow.png"
_SHOWN = 12
# What no section of the page shows otherwise.
_DETAILS = ("shapes", "warnings", "versions")
_HINT = "Which file a pointer stands for is told by --locate POINTER, with the key, to whoever holds the export."


def write_report(
    report: ConversionReport, datalist: Datalist | None, flow: Flow, output: OutputFolder, *, workers: int = 1
) -> None:
    """Write everything that a person looks at.

    Args:
        report: of the conversion; what is known of the cohort is added to it.
        datalist: as written, or None.
        flow: numbers of the flow diagram.
        output: the folder.
        workers: how many pictures of the contact sheet at a time.
    """
    from medmd.data.check import summarise

    cohorts = {} if datalist is None else {"datalist.json": summarise(datalist)}
    report.facts["cohorts"] = cohorts
    report.summary.extend(_summary(report, cohorts))
    output.write_json(REPORT, report.as_json())
    pictures = {FLOW: flow_png(flow, report.reasons)}
    if datalist is not None:
        write_contact_sheet(output.path / CONTACT_SHEET, _shown(datalist, output, workers))
        pictures[CONTACT_SHEET] = (output.path / CONTACT_SHEET).read_bytes()
    write_atomic(output.path / FLOW, pictures[FLOW])
    page = _page(report, cohorts, pictures)
    write_atomic(output.path / PAGE, page)
    for name in (*pictures, PAGE):
        output.record_written(name)


def _page(report: ConversionReport, cohorts: Mapping[str, Any], pictures: Mapping[str, bytes]) -> str:
    facts = {name: value for name, value in report.facts.items() if name in _DETAILS}
    return render(
        ConversionReport(**{**vars(report), "facts": facts}),
        cohorts,
        contact_sheet=pictures.get(CONTACT_SHEET),
        flow=pictures[FLOW],
        sections=sections(report.facts) if cohorts else (),
        hint=_HINT,
    )


def _shown(datalist: Datalist, output: OutputFolder, workers: int) -> list[Shown]:
    """Middle slice and photograph of cases from the worst MD to the best."""
    ordered = sorted((case for _, case in datalist.cases()), key=lambda case: (_md(case), case.case_id))
    wanted: list[tuple[str, Path, str]] = []
    for place in spread(len(ordered), most=_SHOWN):
        case = ordered[place]
        caption = f"{case.case_id}\n{case.laterality}, {_md(case):.1f} dB"
        files = {name: file for name, file in case.inputs.items() if isinstance(file, str)}
        wanted.extend((name, output.path / file, caption) for name, file in files.items())
    return list(map_in_order(_picture, wanted, workers=workers))


def _picture(wanted: tuple[str, Path, str]) -> Shown:
    name, path, caption = wanted
    return Shown(middle_slice(path) if name == "oct" else path, caption)


def _md(case: Case) -> float:
    return case.target if isinstance(case.target, float) else 0.0


def _summary(report: ConversionReport, cohorts: Mapping[str, Any]) -> list[str]:
    facts = report.facts
    lines = [f"{_total(cohorts)} cases of {facts['eyes']} eyes of {facts['patients']} patients"] if cohorts else []
    if report.facts["split_note"]:
        lines.append(report.facts["split_note"])
    for name, summary in cohorts.items():
        parts = ", ".join(f"{split} {part['cases']}" for split, part in summary["splits"].items())
        lines.append(f"{name}: {parts}")
    return lines


def _total(cohorts: Mapping[str, Any]) -> int:
    return sum(int(summary["cases"]) for summary in cohorts.values())
