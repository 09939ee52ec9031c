"""The conversion: a release in; datalists, images, report and contact sheet out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread, write_contact_sheet
from data_prep._html import render
from data_prep._output import OutputFolder, check_apart
from data_prep._parallel import check_workers
from data_prep._report import ConversionReport, versions
from data_prep._split import SplitOptions, split_cases
from data_prep.stage2._cases import CONVERTER, make_case, make_header, target_of
from data_prep.stage2._eyes import Converted, as_facts, convert_eyes
from data_prep.stage2._layout import TRAINING, Release, find_release
from data_prep.stage2._reasons import FIXES, HARMLESS, REASONS
from data_prep.stage2._select import Selection, select, source_facts, tallies
from data_prep.stage2._slices import in_order
from medmd.utils import MedmdError, sha256_file, write_atomic

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

REPORT, PAGE, CONTACT_SHEET = "report.json", "report.html", "contact_sheet.png"
_EYES_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        limit: the first so many eyes of every part only; None for all.
        stage_input: make the given stage of glaucoma an input. It is derived from the field whose MD is predicted, and
            is only for comparison with entries of the challenge, which used it.
        spacing_mm: along-scan, depth and between slices in mm; None assumes them, and says so.
        split: how to split the training part.
    """

    limit: int | None = None
    stage_input: bool = False
    spacing_mm: tuple[float, float, float] | None = None
    split: SplitOptions = field(default_factory=SplitOptions)

    def check(self) -> None:
        """Check every option.

        Raises:
            MedmdError: an option has a value it cannot have.
        """
        if self.limit is not None and self.limit < 1:
            msg = f"limit: expected at least 1, got {self.limit}."
            raise MedmdError(msg)
        if self.spacing_mm is not None and not all(0 < value < 10 for value in self.spacing_mm):
            msg = f"spacing: expected three numbers of millimetres above 0, got {self.spacing_mm}."
            raise MedmdError(msg)
        self.split.check()

    def as_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {
            "limit": self.limit,
            "stage_input": self.stage_input,
            "spacing_mm": None if self.spacing_mm is None else list(self.spacing_mm),
            "split": self.split.as_json(),
        }


def convert(
    source: str | Path,
    out: str | Path,
    *,
    validation: str | Path | None = None,
    options: Options | None = None,
    workers: int = 1,
) -> ConversionReport:
    """Convert a STAGE 2023, STAGE 2024 or GAMMA release.

    `out` receives `datalist.json` (the training part, split), `datalist_validation.json` and `datalist_testing.json`
    (the other parts that are there, with or without labels), `oct/*.nii.gz`, `fundus/*.png`, `report.json`,
    `report.html` and `contact_sheet.png`; the source is only read. A later call with equal options continues what was
    interrupted; the bytes do not depend on `workers` or on interruptions.

    Args:
        source: the release, or one part of it.
        out: a new or empty folder, or that of an earlier call with equal options.
        validation: the release's validation part when it lies elsewhere.
        options: by default all eyes, split 70/10/20.
        workers: how many eyes at a time, at least 1.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the source is no such release, an option is wrong, or `out` is in use.
    """
    source, options = Path(source), options or Options()
    second = None if validation is None else Path(validation)
    options.check()
    check_workers(workers)
    for folder in (source, second):
        if folder is not None:
            check_apart(folder, Path(out))
    release = find_release(source, validation=second)
    selection = select(release, limit=options.limit)
    output = OutputFolder(out, converter=CONVERTER, arguments=options.as_json())
    converted = convert_eyes(selection.eyes, output, spacing_mm=options.spacing_mm, workers=workers)
    usable = [item for item in converted if item.oct or item.fundus]
    report = ConversionReport(
        converter=CONVERTER,
        arguments=options.as_json(),
        source={**source_facts(release), "tables": _digests(release)},
        tallies=tallies(release, selection, converted),
        reasons=REASONS,
        fixes=FIXES,
        harmless=HARMLESS,
        facts=_facts(selection, converted, usable),
    )
    datalists = _write_datalists(usable, release, selection, output, options)
    _write_report(report, datalists, usable, output)
    output.finish()
    return report


def _write_datalists(
    usable: Sequence[Converted], release: Release, selection: Selection, output: OutputFolder, options: Options
) -> dict[str, Datalist]:
    from medmd.data import Datalist, write_datalist

    written = {}
    for part in release.parts:
        cases = [make_case(item, stage_input=options.stage_input) for item in usable if item.eye.part == part.kind]
        if not cases:
            continue
        header = make_header(
            release.layout,
            part.kind,
            release_ids=[f"{number:04d}" for number in selection.numbers[part.kind]],
            spacing_mm=options.spacing_mm,
            stage_input=options.stage_input,
        )
        datalist = Datalist(header=header, splits=_splits(cases, part.kind, release.layout, options))
        name = "datalist.json" if part.kind == TRAINING else f"datalist_{part.kind}.json"
        write_datalist(output.path / name, datalist)
        output.record_written(name)
        written[name] = datalist
    return written


def _splits(cases: list[Case], part: str, layout: str, options: Options) -> Mapping[str, Sequence[Case]]:
    """The training part as the options ask; the other parts are for predicting, one list each."""
    return split_cases(cases, options.split, target_of(layout)) if part == TRAINING else {"unsplit": cases}


def _write_report(
    report: ConversionReport, datalists: Mapping[str, Datalist], usable: Sequence[Converted], output: OutputFolder
) -> None:
    from medmd.data.check import summarise

    cohorts = {name: summarise(datalist) for name, datalist in datalists.items()}
    report.facts["cohorts"] = cohorts
    report.summary.extend(_summary(report, cohorts))
    picture = None
    if usable:
        unit = next(iter(cohorts.values()))["target"]["unit"]
        write_contact_sheet(output.path / CONTACT_SHEET, _shown(usable, output, unit))
        output.record_written(CONTACT_SHEET)
        picture = (output.path / CONTACT_SHEET).read_bytes()
    output.write_json(REPORT, report.as_json())
    facts = {name: value for name, value in report.facts.items() if name != "cohorts"}
    page = ConversionReport(**{**vars(report), "facts": facts})
    write_atomic(output.path / PAGE, render(page, cohorts, contact_sheet=picture))
    output.record_written(PAGE)


def _shown(usable: Sequence[Converted], output: OutputFolder, unit: str) -> list[Shown]:
    """The middle slice and the photograph of eyes from the worst MD to the best; without labels, by number."""
    labelled = [item for item in usable if item.eye.target is not None]
    ordered = sorted(labelled or usable, key=lambda item: (item.eye.target or 0.0, item.eye.case_id))
    shown = []
    for place in spread(len(ordered), most=_EYES_SHOWN):
        item = ordered[place]
        label = "no label" if item.eye.target is None else f"{item.eye.target:g} {unit}".rstrip()
        caption = f"{item.eye.case_id}\n{item.eye.person.laterality or 'side unknown'}, {label}"
        if item.oct is not None:
            slices = in_order(item.eye.files.slices)
            shown.append(Shown(slices[len(slices) // 2].path, caption))
        if item.fundus is not None:
            shown.append(Shown(output.path / item.fundus.name, caption))
    return shown


def _facts(selection: Selection, converted: Sequence[Converted], usable: Sequence[Converted]) -> dict[str, Any]:
    names = {"oct": [item.oct for item in usable], "fundus": [item.fundus for item in usable]}
    return {
        "columns": selection.columns,
        "contents_not_understood": selection.unknown,
        "sizes": {name: as_facts([image.shape for image in images if image]) for name, images in names.items()},
        "missing_inputs": {
            name: [item.eye.case_id for item, image in zip(usable, images, strict=True) if image is None]
            for name, images in names.items()
        },
        "without_laterality": [item.eye.case_id for item in usable if item.eye.person.laterality is None],
        "identical_images": _identical(usable),
        "image_faults": [
            {"eye": item.eye.case_id, "reason": reason, "what": what}
            for item in converted
            for reason, _, what in item.faults
        ],
        "versions": versions("isal", "nibabel", "numpy", "openpyxl", "pillow"),
    }


def _identical(usable: Sequence[Converted]) -> list[list[str]]:
    """Eyes that share a volume or a photograph, byte for byte."""
    owners: dict[str, list[str]] = {}
    for item in usable:
        for image in (item.oct, item.fundus):
            if image is not None:
                owners.setdefault(image.sha256, []).append(item.eye.case_id)
    return sorted({tuple(eyes): list(eyes) for eyes in owners.values() if len(eyes) > 1}.values())


def _summary(report: ConversionReport, cohorts: Mapping[str, Any]) -> list[str]:
    sizes = report.facts["sizes"]
    lines = [f"layout: {report.source['layout']}"]
    for name, found in sizes.items():
        if found:
            shapes = ", ".join(f"{' x '.join(map(str, entry['size']))} ({entry['count']})" for entry in found[:3])
            lines.append(f"{name}: {shapes}{', …' if len(found) > 3 else ''}")
    for name, summary in cohorts.items():
        parts = ", ".join(f"{split} {part['cases']}" for split, part in summary["splits"].items())
        lines.append(f"{name}: {parts}; {summary['target']['known']} with a label")
    if report.usable:
        lines.append("patients: the release names none, so that both eyes of one person may stand in two lists")
    if report.facts["identical_images"]:
        lines.append(f"identical images: {len(report.facts['identical_images'])} groups of eyes, see report.json")
    return lines


def _digests(release: Release) -> dict[str, str]:
    files = [file for part in release.parts for file in (part.labels, part.info) if file]
    return {file.name: sha256_file(file.path) for file in files}
