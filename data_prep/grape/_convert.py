"""The conversion: workbook and photographs in; datalist, images, report and contact sheet out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread, write_contact_sheet
from data_prep._output import OutputFolder, check_apart
from data_prep._pages import summaries, write_page
from data_prep._parallel import check_workers
from data_prep._pictures import equal_pictures, set_aside_shared
from data_prep._report import ConversionReport, Tally
from data_prep._split import SplitOptions, describe_splits, split_cases
from data_prep.grape._cases import CONVERTER, make_case, make_header
from data_prep.grape._images import SHARED, Picture, subject, write_pictures
from data_prep.grape._select import (
    FIXES,
    FOLDERS,
    HARMLESS,
    REASONS,
    Photographs,
    find_photographs,
    select,
    tally_files,
)
from data_prep.grape._visits import Visits, find_workbook, read_visits
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

DATALIST = "datalist.json"
REPORT = "report.json"
CONTACT_SHEET = "contact_sheet.png"
_VISITS = ("first", "all")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        photograph: `crop` (the release's optic-disc crops) or `full` (whole photographs).
        visits: `first` or `all`.
        clinical: whether to add age, intraocular pressure and corneal thickness as a third input.
        split: how to split by subject.
    """

    photograph: str = "crop"
    visits: str = "first"
    clinical: bool = False
    split: SplitOptions = field(default_factory=SplitOptions)

    def check(self) -> None:
        """Check every option.

        Raises:
            MedmdError: an option has a value it cannot have.
        """
        for name, value, allowed in (
            ("photograph", self.photograph, tuple(FOLDERS)),
            ("visits", self.visits, _VISITS),
        ):
            if value not in allowed:
                msg = f"{name}: expected one of {', '.join(allowed)}, got {value!r}."
                raise MedmdError(msg)
        self.split.check()

    def as_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {
            "photograph": self.photograph,
            "visits": self.visits,
            "clinical": self.clinical,
            "split": self.split.as_json(),
        }


def convert(
    source: str | Path, out: str | Path, *, options: Options | None = None, workers: int = 1
) -> ConversionReport:
    """Convert the GRAPE release to a datalist.

    `out` receives `datalist.json`, `images/*.png`, `report.json`, `report.html` and `contact_sheet.png`; `source` is
    only read. A later call with equal options continues what was interrupted, or finds everything in place; the bytes
    do not depend on `workers` or on interruptions.

    Args:
        source: the folder with the workbook and the photograph folders.
        out: a new or empty folder, or that of an earlier call with equal options.
        options: what to convert; by default the optic-disc crops of first visits.
        workers: how many photographs at a time, at least 1.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the release is not there or has another layout, an option is wrong, or `out` is in use.
    """
    source, options = Path(source), options or Options()
    options.check()
    check_workers(workers)
    check_apart(source, Path(out))
    workbook = find_workbook(source)
    photographs = find_photographs(source, options.photograph)
    visits = read_visits(workbook)
    output = OutputFolder(out, converter=CONVERTER, arguments=options.as_json())

    candidates, tally = select(visits, photographs, which=options.visits)
    pictures = write_pictures(candidates, output, workers=workers)
    twins = equal_pictures(pictures)
    set_aside_shared(pictures, output, owner=subject, reason=SHARED)
    cases = [make_case(picture, clinical=options.clinical) for picture in pictures if picture.reason is None]
    for picture in pictures:
        if picture.reason is not None:
            tally.exclude(picture.reason, picture.item.visit.case_id)
    tally.converted = len(cases)

    report = ConversionReport(
        converter=CONVERTER,
        arguments=options.as_json(),
        source={
            "release": "GRAPE",
            "workbook": workbook.name,
            "sha256": sha256_file(workbook),
            "photographs": photographs.folder.name,
        },
        tallies=[tally, _file_tally(photographs, visits, pictures, options)],
        reasons=REASONS,
        fixes=FIXES,
        harmless=HARMLESS,
        facts={"duplicates": _duplicate_facts(twins), "unreadable": _unreadable_facts(pictures)},
    )
    datalists = _write_cohort(cases, output, report, options) if cases else {}
    output.write_json(REPORT, report.as_json())
    sheet = (output.path / CONTACT_SHEET).read_bytes() if cases else None
    write_page(report, summaries(datalists), sheet, output)
    output.finish()
    return report


def _write_cohort(
    cases: list[Case], output: OutputFolder, report: ConversionReport, options: Options
) -> dict[str, Datalist]:
    from medmd.data import Datalist, write_datalist

    header = make_header(photograph=options.photograph, visits=options.visits, clinical=options.clinical)
    splits = split_cases(cases, options.split, header.target)
    datalist = Datalist(header=header, splits=splits)
    write_datalist(output.path / DATALIST, datalist)
    output.record_written(DATALIST)
    report.facts.update(_cohort_facts(cases, list(header.inputs)), splits=describe_splits(splits))
    report.summary.extend(_summary(report))
    _write_sheet(cases, output)
    return {DATALIST: datalist}


def _write_sheet(cases: Sequence[Case], output: OutputFolder) -> None:
    ordered = sorted(cases, key=lambda case: (_target(case), case.case_id))
    shown = []
    for position in spread(len(ordered)):
        case = ordered[position]
        caption = f"{case.case_id}\n{_target(case):.1f} dB{'' if case.inputs['rnfl'] else ', no RNFL'}"
        shown.append(Shown(output.path / str(case.inputs["fundus"]), caption))
    write_contact_sheet(output.path / CONTACT_SHEET, shown)
    output.record_written(CONTACT_SHEET)


def _file_tally(photographs: Photographs, visits: Visits, pictures: Sequence[Picture], options: Options) -> Tally:
    converted = [picture.item.photograph.name for picture in pictures if picture.reason is None]
    faults = {picture.item.photograph.name: picture.reason for picture in pictures if picture.reason is not None}
    return tally_files(photographs, visits, which=options.visits, converted=converted, faults=faults)


def _cohort_facts(cases: Sequence[Case], inputs: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    targets = np.array([_target(case) for case in cases])
    missing = {name: [case.case_id for case in cases if case.inputs[name] is None] for name in inputs}
    return {
        "subjects": len({case.patient_id for case in cases}),
        "eyes": len({(case.patient_id, case.laterality) for case in cases}),
        "missing_inputs": {name: {"count": len(items), "items": items} for name, items in missing.items()},
        "mean_sensitivity_db": {
            "mean": round(float(targets.mean()), 4),
            "std": round(float(targets.std()), 4),
            "min": float(targets.min()),
            "max": float(targets.max()),
        },
    }


def _summary(report: ConversionReport) -> list[str]:
    facts = report.facts
    target = facts["mean_sensitivity_db"]
    missing = ", ".join(f"{entry['count']} without {name}" for name, entry in facts["missing_inputs"].items())
    splits = "; ".join(
        f"{name} {entry['cases']} cases of {entry['patients']} subjects" for name, entry in facts["splits"].items()
    )
    return [
        f"cases: {report.usable} of {facts['eyes']} eyes of {facts['subjects']} subjects; {missing}",
        f"mean sensitivity: {target['mean']:.2f} dB (SD {target['std']:.2f}, {target['min']:.2f} to "
        f"{target['max']:.2f})",
        f"pictures listed more than once: {len(facts['duplicates'])}",
        f"splits: {splits}",
    ]


def _duplicate_facts(groups: Sequence[Sequence[Picture]]) -> list[dict[str, list[str]]]:
    return [
        {
            "cases": [picture.item.visit.case_id for picture in group],
            "photographs": [picture.item.photograph.name for picture in group],
        }
        for group in groups
    ]


def _unreadable_facts(pictures: Sequence[Picture]) -> list[dict[str, str]]:
    return [
        {
            "case": picture.item.visit.case_id,
            "photograph": picture.item.photograph.name,
            "what": picture.detail,
        }
        for picture in pictures
        if picture.detail
    ]


def _target(case: Case) -> float:
    return float(case.target)  # type: ignore[arg-type]
