"""The conversion: samples in; datalist, images, report and contact sheet out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from data_prep._harvard._cases import make_case, make_header
from data_prep._harvard._images import Converted, convert_samples
from data_prep._harvard._layout import PARTS, Layout, read_layout
from data_prep._harvard._reasons import FIXES, HARMLESS, REASONS
from data_prep._harvard._release import Release
from data_prep._harvard._select import check_parts, select, set_aside_shared, tallies
from data_prep._harvard._sheet import draw
from data_prep._harvard._summary import Summary, read_summary, with_parts
from data_prep._output import OutputFolder, check_apart
from data_prep._pages import cohort_lines, summaries, write_report
from data_prep._parallel import check_workers
from data_prep._report import ConversionReport, versions
from data_prep._split import SplitOptions, split_cases
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

DATALIST = "datalist.json"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the result depends on.

    Args:
        limit: the first so many samples of every part only; None for all.
        subgroups: write race and ethnicity beside each case, for tables by subgroup; they are never inputs.
        resplit: split anew although the release has parts; folds and `unsplit` do so too.
        split: how to split where the release has no parts, or anew.
    """

    limit: int | None = None
    subgroups: bool = False
    resplit: bool = False
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
        return {
            "limit": self.limit,
            "subgroups": self.subgroups,
            "resplit": self.resplit,
            "split": self.split.as_json(),
        }

    @property
    def keeps_parts(self) -> bool:
        """Whether the release's own parts are kept where it has any."""
        return not (self.resplit or self.split.unsplit or self.split.folds is not None)


def convert(
    source: str | Path, out: str | Path, release: Release, *, options: Options | None = None, workers: int = 1
) -> ConversionReport:
    """Convert a release of one `.npz` a patient to a datalist.

    `out` receives `datalist.json`, `oct/*.nii.gz`, `rnfl_map/*.png`, `report.json`, `report.html` and
    `contact_sheet.png`; the source is only read. A later call with equal options continues what was interrupted; the
    bytes do not depend on `workers` or on interruptions.

    Args:
        source: the release, or one part of it.
        out: a new or empty folder, or that of an earlier call with equal options.
        release: which it is.
        options: by default all samples, in the parts of the release.
        workers: how many samples at a time, at least 1.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the source is no such release, an option is wrong, or `out` is in use.
    """
    source, options = Path(source), options or Options()
    options.check()
    check_workers(workers)
    check_apart(source, Path(out))
    layout = read_layout(source, title=release.title)
    summary = read_summary(layout)
    layout = with_parts(layout, summary)
    parted = check_parts(layout.samples) and options.keeps_parts
    selection = select(layout, summary, release, limit=options.limit)
    output = OutputFolder(out, converter=release.converter, arguments=options.as_json())
    converted = convert_samples(selection.chosen, release, output, workers=workers)
    if parted:
        set_aside_shared(converted)
    output.discard(image.name for item in converted if item.reason for image in item.images.values())
    usable = [item for item in converted if item.reason is None]
    report = ConversionReport(
        converter=release.converter,
        arguments=options.as_json(),
        source=_source(layout, summary, release, parted=parted),
        tallies=tallies(layout, selection, converted),
        reasons=REASONS,
        fixes=FIXES,
        harmless=HARMLESS,
        facts=_facts(converted, usable, release),
    )
    datalists = _write_datalist(usable, release, output, options, parted=parted) if usable else {}
    cohorts = summaries(datalists)
    report.summary.extend(_summary(report, cohorts))
    with TemporaryDirectory() as folder:
        write_report(report, cohorts, draw(usable, output, Path(folder)), output)
    output.finish()
    return report


def _write_datalist(
    usable: Sequence[Converted], release: Release, output: OutputFolder, options: Options, *, parted: bool
) -> dict[str, Datalist]:
    from medmd.data import Datalist, write_datalist

    header = make_header(release)
    cases = {item.selected.case_id: make_case(item, release, subgroups=options.subgroups) for item in usable}
    splits: Mapping[str, Sequence[Case]]
    if parted:
        parts = {item.selected.case_id: item.selected.sample.part for item in usable}
        by_part = {part: [case for name, case in cases.items() if parts[name] == part] for part in PARTS}
        splits = {part: found for part, found in by_part.items() if found}
    else:
        splits = split_cases(list(cases.values()), options.split, header.target)
    datalist = Datalist(header=header, splits=splits)
    write_datalist(output.path / DATALIST, datalist)
    output.record_written(DATALIST)
    return {DATALIST: datalist}


def _source(layout: Layout, summary: Summary, release: Release, *, parted: bool) -> dict[str, Any]:
    parts = Counter(sample.part or "none" for sample in layout.samples)
    return {
        "release": release.title,
        "licence": release.licence,
        "samples": dict(sorted(parts.items())),
        "split": "as the release" if parted else "made by the converter",
        "summary_table": {name: sha256_file(path) for name, path in layout.tables.items()} if summary.table else None,
    }


def _facts(converted: Sequence[Converted], usable: Sequence[Converted], release: Release) -> dict[str, Any]:
    people = [item.person for item in usable]
    return {
        "sizes": {name: _sizes(usable, name) for name in release.arrays},
        "missing_inputs": {
            name: [item.selected.case_id for item in usable if name not in item.images] for name in release.arrays
        },
        "image_faults": [
            {"sample": item.selected.case_id, "input": name, "reason": reason, "what": what}
            for item in converted
            for name, (reason, what) in sorted(item.faults.items())
        ],
        "map_pixels": _pixels(usable),
        "race": dict(sorted(Counter(person.race for person in people).items())),
        "ethnicity": dict(sorted(Counter(person.ethnicity for person in people).items())),
        "without_age": sum(person.age is None for person in people),
        "identical_images": _identical(usable),
        "versions": versions("isal", "nibabel", "numpy", "pillow"),
    }


def _sizes(usable: Sequence[Converted], name: str) -> list[dict[str, Any]]:
    counts = Counter(item.images[name].shape for item in usable if name in item.images)
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"size": list(shape), "count": count} for shape, count in ordered]


def _pixels(usable: Sequence[Converted]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for item in usable:
        for image in item.images.values():
            total.update(image.pixels)
    return dict(total)


def _identical(usable: Sequence[Converted]) -> list[list[str]]:
    owners: dict[str, list[str]] = {}
    for item in usable:
        for image in item.images.values():
            owners.setdefault(image.sha256, []).append(item.selected.case_id)
    return sorted({tuple(names): list(names) for names in owners.values() if len(names) > 1}.values())


def _summary(report: ConversionReport, cohorts: Mapping[str, Any]) -> list[str]:
    lines = [f"split: {report.source['split']}"]
    for name, found in report.facts["sizes"].items():
        shapes = ", ".join(f"{' x '.join(map(str, entry['size']))} ({entry['count']})" for entry in found[:3])
        lines.append(f"{name}: {shapes or 'none'}{', …' if len(found) > 3 else ''}")
    pixels = report.facts["map_pixels"]
    if pixels:
        share = 100 * pixels["measured"] / sum(pixels.values())
        lines.append(f"thickness maps: {share:.1f} % of the pixels measured")
    lines += cohort_lines(cohorts)
    if report.facts["identical_images"]:
        lines.append(f"identical images: {len(report.facts['identical_images'])} groups of samples, see report.json")
    return lines
