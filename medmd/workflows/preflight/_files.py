"""Which cases a run will use, and whether their files can be opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

from medmd.data import Case, Datalist, Finding, load_datalist
from medmd.data.check import Seen, look_at_files
from medmd.workflows.preflight._report import WARNING, Problem

_SHOWN = 10
_SPLITS = {
    "pretrain": ("training", "validation"),
    "train": ("training", "validation"),
    "evaluate": ("validation", "testing"),
}


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The cases that a run will use and what their headers say.

    Args:
        datalist: those cases only, with those inputs only that the run uses.
        files: how many files were opened.
        voxels: most voxels and pixels of a case.
        sound: the case ids with no finding.
        depths: by modality, voxels in depth of the deepest training volume.
    """

    datalist: Datalist
    files: int = 0
    voxels: int = 0
    sound: frozenset[str] = frozenset()
    depths: Mapping[str, int] = field(default_factory=dict)

    def count(self, split: str) -> int:
        """How many of its cases are used."""
        return len(self.datalist.splits.get(split, ()))

    @property
    def cases(self) -> int:
        """How many cases are used in all."""
        return sum(1 for _ in self.datalist.cases())


def used_cohort(datalist: str | Path | Datalist, stages: Sequence[str], inputs: Sequence[str]) -> Cohort:
    """The cases that `stages` will use: of their lists, with a known target and one of `inputs` at least.

    Raises:
        MedmdError: the datalist cannot be read.
    """
    whole = datalist if isinstance(datalist, Datalist) else load_datalist(datalist)
    names = dict.fromkeys(split for stage in stages for split in _SPLITS.get(stage, ()))
    splits = {name: [_only(case, inputs) for case in whole.splits.get(name, ())] for name in names}
    kept = {name: [case for case in cases if case.present] for name, cases in splits.items()}
    return Cohort(datalist=replace(whole, splits=kept))


def _only(case: Case, inputs: Sequence[str]) -> Case:
    given = {name: case.inputs.get(name) for name in inputs} if case.target is not None else {}
    return replace(case, inputs=given)


def open_files(cohort: Cohort, *, workers: int = 8) -> tuple[Cohort, list[Problem]]:
    """Open every file by its header, in threads, and collect all that is wrong.

    Returns:
        The cohort with what the headers say, and the problems; cases are named by pseudonym, files by their input.
    """
    seen = look_at_files(cohort.datalist, hashes=False, workers=workers)
    files = [item for item in seen if isinstance(item.case.inputs[item.name], str)]
    findings = [finding for item in files for finding in item.findings]
    bad = {finding.case_id for finding in findings}
    looked = replace(
        cohort,
        files=len(files),
        voxels=max(_voxels(files).values(), default=0),
        sound=frozenset(case.case_id for _, case in cohort.datalist.cases() if case.case_id not in bad),
        depths=_depths(files, cohort.datalist),
    )
    return looked, list(_file_problems(findings, len(files)))


def _voxels(files: Sequence[Seen]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for item in files:
        found[item.case.case_id] = found.get(item.case.case_id, 0) + prod(item.shape or (0,))
    return found


def _depths(files: Sequence[Seen], datalist: Datalist) -> Mapping[str, int]:
    volumes = {name for name, spec in datalist.header.inputs.items() if spec.kind == "volume"}
    found: dict[str, int] = {}
    for item in files:
        shape = item.shape or ()
        if item.split == "training" and item.name in volumes and len(shape) == 3:
            found[item.name] = max(found.get(item.name, 0), shape[1])
    return found


def _file_problems(findings: Sequence[Finding], files: int) -> Iterator[Problem]:
    if not findings:
        return
    shown = [
        f"case {item.case_id}, input {item.input}: found {item.found}, expected {item.expected}. {item.fix}"
        for item in findings[:_SHOWN]
    ]
    more = f", the first {_SHOWN} are" if len(findings) > _SHOWN else ""
    yield Problem(
        setting="dataset_dir",
        what="input files cannot be used",
        found=f"{len(findings)} of {files}",
        expected="none",
        fix=f"`medmd check` lists all{more}:",
        details=shown,
    )


def cohort_problems(cohort: Cohort, inputs: Sequence[str], batch_size: int) -> Iterator[Problem]:
    """What the lists themselves say against a run.

    Args:
        cohort: the cases to use.
        inputs: the modalities to use.
        batch_size: training cases that make a step; an incomplete batch is dropped.
    """
    header = cohort.datalist.header
    unknown = [name for name in inputs if name not in header.inputs]
    if unknown:
        yield Problem(
            setting="modalities",
            what=f"the data set has no {', '.join(unknown)}",
            found=f"the inputs {', '.join(header.inputs)}",
            expected=f"the inputs {', '.join(inputs)}",
            fix="Name inputs of its header, or take the overlay of this data set (bundles/remd/data).",
        )
        return
    for split, cases in cohort.datalist.splits.items():
        needed = batch_size if split == "training" else 1
        if len(cases) < needed:
            yield _too_few(split, len(cases), needed)
    yield from _absent(cohort, inputs)


def _too_few(split: str, found: int, needed: int) -> Problem:
    if found:
        fix = "An incomplete batch is dropped: lower batch_size."
    else:
        fix = "`medmd split` makes the lists; cases without a target or without the modalities do not count."
    return Problem(
        setting="batch_size" if found else "dataset_dir",
        what=f"too few cases in the list {split}",
        found=f"{found} with a target and one of the modalities",
        expected=f"{needed} at least",
        fix=fix,
    )


def _absent(cohort: Cohort, inputs: Sequence[str]) -> Iterator[Problem]:
    """A modality that is in the header and in no training case would be a column of zeros."""
    training = cohort.datalist.splits.get("training", ())
    absent = [name for name in inputs if training and not any(name in case.present for case in training)]
    if absent:
        yield Problem(
            setting="modalities",
            what="no training case has this input",
            found=f"{', '.join(absent)} missing in all {len(training)}",
            expected="some cases with each modality",
            fix="Leave it out of modalities, or look at what the converter left out.",
            level=WARNING,
        )
