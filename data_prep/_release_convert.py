"""The conversion of a release: what its reader gives in; datalist, vectors, images and report out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._contact_sheet import Shown, spread
from data_prep._output import OutputFolder, check_apart
from data_prep._pages import cohort_lines, summaries, write_report
from data_prep._parallel import check_workers
from data_prep._pictures import Picture, write_pictures
from data_prep._release import COMMON_REASONS, PARTS, VECTORS, Content, Options, Release
from data_prep._report import ConversionReport, Tally, versions
from data_prep._split import split_cases
from medmd.utils import MedmdError, sha256_bytes, write_atomic

if TYPE_CHECKING:
    from medmd.data import Case, Datalist

DATALIST = "datalist.json"
_HARMLESS = frozenset({"beyond_limit", "label_absent", "in_two_parts"})


def convert_release(
    release: Release, source: str | Path, out: str | Path, *, options: Options | None = None, workers: int = 1
) -> ConversionReport:
    """Convert a release to a datalist.

    `out` receives `datalist.json`, `vectors/*.npy`, the photographs as PNG, `report.json`, `report.html` and, where
    there are photographs, `contact_sheet.png`; the source is only read. A later call with equal options continues what
    was interrupted; the bytes do not depend on `workers` or on interruptions.

    Args:
        release: which it is.
        source: the release on disk.
        out: a new or empty folder, or that of an earlier call with equal options.
        options: by default everything, in the release's own parts or split 70/10/20 by patient.
        workers: how many photographs at a time, at least 1.

    Returns:
        The report. When its `usable` is 0, no datalist is there.

    Raises:
        MedmdError: the source is no such release, its parts share patients and are to be kept, an option is wrong, or
            `out` is in use.
    """
    source, options = Path(source), options or Options()
    arguments = release.arguments(options)
    check_workers(workers)
    check_apart(source, Path(out))
    content = release.read(source, release.settings(options.choices))
    _check_ids(content)
    beyond = content.cases[options.limit :] if options.limit else []
    content.excluded = {**{case.case_id: "beyond_limit" for case in beyond}, **content.excluded}
    parted = bool(content.parts) and options.keeps_parts
    if parted:
        _check_parts(content)
    output = OutputFolder(out, converter=release.converter, arguments=arguments)
    total = len(content.cases) + len(set(content.excluded) - {case.case_id for case in content.cases})
    cases = _with_pictures(content, output, workers=workers)
    if parted:
        cases = _once(cases, content, output)
    _write_matrices(content, output)
    report = _report(release, arguments, content, total, cases, parted=parted)
    datalists = _write_datalist(cases, content, output, options, parted=parted) if cases else {}
    cohorts = summaries(datalists)
    report.summary.extend([*content.summary, *cohort_lines(cohorts)])
    write_report(report, cohorts, _shown(cases, content, output), output)
    output.finish()
    return report


def _check_ids(content: Content) -> None:
    twice = [name for name, count in Counter(case.case_id for case in content.cases).items() if count > 1]
    if twice:
        msg = f"case ids stand twice: {', '.join(twice[:5])}"
        raise RuntimeError(msg)


def _check_parts(content: Content) -> None:
    homes: dict[str, set[str]] = {}
    for case in content.cases:
        if case.case_id not in content.excluded:
            homes.setdefault(case.patient_id, set()).add(content.parts[case.case_id])
    shared = sum(len(parts) > 1 for parts in homes.values())
    if shared:
        msg = (
            f"The release's own parts: expected all cases of a patient in one part, got {shared} of {len(homes)} "
            "patients in several. Split anew with --resplit."
        )
        raise MedmdError(msg)


def _with_pictures(content: Content, output: OutputFolder, *, workers: int) -> list[Case]:
    """The cases to keep, each with its photograph; those whose photograph cannot be used are left out."""
    kept = [case for case in content.cases if case.case_id not in content.excluded]
    if not content.picture:
        return kept
    asked = [Picture(case, content.pictures[case.case_id], f"{content.picture}/{case.case_id}.png") for case in kept]
    cases = []
    for picture in write_pictures(asked, output, workers=workers):
        case = picture.item
        if picture.reason:
            content.excluded[case.case_id] = picture.reason
            content.facts.setdefault("photograph_faults", []).append({"case": case.case_id, "what": picture.detail})
            continue
        inputs = {content.picture: picture.name, **case.inputs}
        cases.append(replace(case, inputs=inputs, hashes={**case.hashes, content.picture: picture.sha256}))
    return cases


def _once(cases: Sequence[Case], content: Content, output: OutputFolder) -> list[Case]:
    """Content that stands in several parts is kept in the last of them only."""
    keepers: dict[tuple[str, str], str] = {}
    ordered = sorted(cases, key=lambda case: PARTS.index(content.parts[case.case_id]), reverse=True)
    for case in ordered:
        part = content.parts[case.case_id]
        if any(keepers.setdefault(mark, part) != part for mark in _marks(case, content)):
            content.excluded[case.case_id] = "in_two_parts"
            output.discard(str(case.inputs[name]) for name in [content.picture] if name)
    return [case for case in cases if case.case_id not in content.excluded]


def _marks(case: Case, content: Content) -> list[tuple[str, str]]:
    """By what equal content is known: the digests of files, and rows of matrices with eight different numbers."""
    marks = list(case.hashes.items())
    for name, matrix in content.matrices.items():
        value = case.inputs.get(name)
        if isinstance(value, str):
            numbers = matrix[int(value.rpartition("#")[2])]
            # Below eight different values chance may repeat a vector; the check of datalists draws the same line.
            if len(set(numbers.tolist())) >= 8:
                marks.append((name, sha256_bytes(numbers.tobytes())))
    return marks


def _write_matrices(content: Content, output: OutputFolder) -> None:
    import numpy as np

    for name, matrix in content.matrices.items():
        buffer = BytesIO()
        np.save(buffer, np.ascontiguousarray(matrix, dtype=np.float32), allow_pickle=False)
        file = f"{VECTORS}/{name}.npy"
        write_atomic(output.path / file, buffer.getvalue())
        output.record_written(file)


def _write_datalist(
    cases: Sequence[Case], content: Content, output: OutputFolder, options: Options, *, parted: bool
) -> dict[str, Datalist]:
    from medmd.data import Datalist, load_datalist, write_datalist

    splits = _own_parts(cases, content, options) if parted else split_cases(cases, options.split, content.header.target)
    write_datalist(output.path / DATALIST, Datalist(header=content.header, splits=splits))
    output.record_written(DATALIST)
    return {DATALIST: load_datalist(output.path / DATALIST)}


def _own_parts(cases: Sequence[Case], content: Content, options: Options) -> Mapping[str, Sequence[Case]]:
    from medmd.data import split_by_patient

    parts: dict[str, list[Case]] = {
        part: [case for case in cases if content.parts[case.case_id] == part] for part in PARTS
    }
    share = options.split.validation_fraction
    if not parts["validation"] and share > 0 and parts["training"]:
        fractions = {"training": 1 - share, "validation": share}
        target, seed = content.header.target, options.split.seed
        parts |= split_by_patient(parts["training"], seed=seed, fractions=fractions, target=target)
    return {part: found for part, found in parts.items() if found}


def _report(
    release: Release, arguments: dict[str, Any], content: Content, total: int, cases: Sequence[Case], *, parted: bool
) -> ConversionReport:
    tally = Tally(release.cases, total=total, converted=len(cases), word="quarantined")
    for name in sorted(content.excluded):
        tally.exclude(content.excluded[name], name)
    reasons = {**COMMON_REASONS, **release.reasons}
    split = "as the release" if parted else "made by the converter"
    names = list(content.header.inputs)
    missing = {name: sum(case.inputs.get(name) is None for case in cases) for name in names}
    return ConversionReport(
        converter=release.converter,
        arguments=arguments,
        source={"release": release.title, "licence": release.licence, "split": split, **content.source},
        tallies=[tally],
        reasons={reason: why for reason, (why, _) in reasons.items()},
        fixes={reason: fix for reason, (_, fix) in reasons.items()},
        harmless=_HARMLESS | release.harmless,
        facts={"missing_inputs": missing, **content.facts, "versions": versions("numpy", "pillow")},
    )


def _shown(cases: Sequence[Case], content: Content, output: OutputFolder) -> list[Shown]:
    """Photographs from the lowest target to the highest."""
    if not content.picture:
        return []
    unit = content.header.target.unit
    ordered = sorted(cases, key=lambda case: (case.target, case.case_id))
    chosen = [ordered[place] for place in spread(len(ordered))]
    return [
        Shown(output.path / str(case.inputs[content.picture]), f"{case.case_id}\n{case.target:g} {unit}")
        for case in chosen
    ]
