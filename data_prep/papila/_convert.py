"""The conversion: sheets and photographs in; datalist, images, report and contact sheet out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread
from data_prep._output import OutputFolder, check_apart
from data_prep._pages import cohort_lines, summaries, write_report
from data_prep._parallel import check_workers
from data_prep._report import ConversionReport, versions
from data_prep._split import SplitOptions, split_cases
from data_prep.papila._cases import CONVERTER, LICENCE, make_case, make_header
from data_prep.papila._images import Picture, write_pictures
from data_prep.papila._layout import Layout, find_release
from data_prep.papila._reasons import FIXES, HARMLESS, REASONS
from data_prep.papila._select import Selection, select, tallies
from data_prep.papila._sheet import Sheet, read_sheet
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

DATALIST = "datalist.json"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        limit: the first so many patients only; None for all.
        clinical: whether to add age, pressure, corneal thickness and axial length as a second input.
        split: how to split by patient.
    """

    limit: int | None = None
    clinical: bool = False
    split: SplitOptions = field(default_factory=SplitOptions)

    def check(self) -> None:
        """Check every option.

        Raises:
            MedmdError: an option has a value it cannot have.
        """
        if self.limit is not None and self.limit < 1:
            msg = f"limit: expected at least 1, got {self.limit}."
            raise MedmdError(msg)
        self.split.check()

    def as_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {"limit": self.limit, "clinical": self.clinical, "split": self.split.as_json()}


def convert(
    source: str | Path, out: str | Path, *, options: Options | None = None, workers: int = 1
) -> ConversionReport:
    """Convert the PAPILA release to a datalist.

    `out` receives `datalist.json`, `fundus/*.png`, `report.json`, `report.html` and `contact_sheet.png`; the source is
    only read. A later call with equal options continues what was interrupted; the bytes do not depend on `workers` or
    on interruptions.

    Args:
        source: the unpacked release.
        out: a new or empty folder, or that of an earlier call with equal options.
        options: by default all eyes with an MD, split 70/10/20 by patient.
        workers: how many photographs at a time, at least 1.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the source is no such release, an option is wrong, or `out` is in use.
    """
    source, options = Path(source), options or Options()
    options.check()
    check_workers(workers)
    check_apart(source, Path(out))
    layout = find_release(source)
    sheets = {side: read_sheet(path, laterality=side) for side, path in layout.sheets.items()}
    selection = select(layout, sheets, limit=options.limit)
    output = OutputFolder(out, converter=CONVERTER, arguments=options.as_json())
    pictures = write_pictures(selection.eyes, output, workers=workers)
    cases = [make_case(picture, clinical=options.clinical) for picture in pictures if picture.reason is None]
    report = ConversionReport(
        converter=CONVERTER,
        arguments=options.as_json(),
        source=_source(layout),
        tallies=tallies(layout, selection, pictures),
        reasons=REASONS,
        fixes=FIXES,
        harmless=HARMLESS,
        facts=_facts(cases, pictures, selection, sheets),
    )
    cohorts = summaries(_write_datalist(cases, output, options) if cases else {})
    patients = len({case.patient_id for case in cases})
    report.summary.extend([f"patients: {patients}, split by patient", *cohort_lines(cohorts)])
    write_report(report, cohorts, _shown(cases, output), output)
    output.finish()
    return report


def _write_datalist(cases: list[Case], output: OutputFolder, options: Options) -> dict[str, Datalist]:
    from medmd.data import Datalist, write_datalist

    header = make_header(clinical=options.clinical)
    datalist = Datalist(header=header, splits=split_cases(cases, options.split, header.target))
    write_datalist(output.path / DATALIST, datalist)
    output.record_written(DATALIST)
    return {DATALIST: datalist}


def _source(layout: Layout) -> dict[str, Any]:
    return {
        "release": "PAPILA",
        "licence": LICENCE,
        "sheets": {layout.name(path): sha256_file(path) for path in layout.sheets.values()},
    }


def _facts(
    cases: Sequence[Case], pictures: Sequence[Picture], selection: Selection, sheets: Mapping[str, Sheet]
) -> dict[str, Any]:
    unread: Counter[str] = Counter()
    for sheet in sheets.values():
        unread.update(sheet.not_understood)
    names = sorted({name for case in cases for name in case.inputs})
    return {
        "diagnosis": dict(sorted(Counter(str(case.details.get("diagnosis", "unknown")) for case in cases).items())),
        "missing_inputs": {name: [case.case_id for case in cases if case.inputs[name] is None] for name in names},
        "contents_not_understood": dict(sorted(unread.items())),
        "two_ages_or_sexes": selection.contradictions,
        "photograph_faults": [
            {"eye": picture.item.case_id, "reason": picture.reason, "what": picture.detail}
            for picture in pictures
            if picture.reason
        ],
        "versions": versions("numpy", "openpyxl", "pillow"),
    }


def _shown(cases: Sequence[Case], output: OutputFolder) -> list[Shown]:
    """Photographs from the worst MD to the best."""
    ordered = sorted(cases, key=lambda case: (case.target, case.case_id))
    return [
        Shown(
            output.path / str(ordered[place].inputs["fundus"]),
            f"{ordered[place].case_id}\n{ordered[place].target:g} dB",
        )
        for place in spread(len(ordered))
    ]
