"""A data set as a worker holds it: read once, its cases preprocessed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from monai.transforms import RandomizableTrait

from medmd.benchmark._job import Job
from medmd.benchmark._loading import Reseeded, Stacked, in_batches
from medmd.data import Case, CaseDataset, Datalist, load_datalist, load_items, split_by_patient, write_datalist
from medmd.utils import MedmdError

SPLIT_SEED = 0
_LISTS = ("training", "validation", "testing")
# Datasets, and folds of one with its cases prepared, that a worker keeps at a time.
_COHORTS, _FOLDS = 2, 5


@dataclass
class Fold:
    """The cases of one fold after the transforms of one configuration.

    Attributes:
        datalist: of the fold, with its path.
        training: the training cases, cached before the first random transform, or as tensors when there is none.
        batches: by split, the cases without augmentation, made when asked for.
        values: what the configuration computes from the datalist alone, by the text of the component.
    """

    datalist: Datalist
    training: CaseDataset | Stacked
    count: int
    batches: Mapping[str, Callable[[], tuple[dict[str, Any], ...]]]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Cohort:
    """A datalist that was read.

    Attributes:
        datalist: all of it.
        items: the labelled cases as MONAI's transforms take them, by case id.
        folds: those that were prepared.
        datalists: of the folds.
    """

    datalist: Datalist
    items: dict[str, dict[str, Any]]
    folds: dict[Any, Fold] = field(default_factory=dict)
    datalists: dict[Any, Datalist] = field(default_factory=dict)


_HELD: dict[Any, Cohort] = {}


def cohort_of(job: Job) -> Cohort:
    """The data set of a job, from memory when this process has read it."""
    key = (str(job.datalist), job.datalist.stat().st_mtime_ns)
    return _remember(_HELD, key, _COHORTS, lambda: _read(job.datalist))


def fold_of(job: Job, parser: ConfigParser, key: str) -> Fold:
    """The fold of a job, from memory when this process has prepared it.

    Args:
        job: which.
        parser: the run's configuration, with the path of the fold's datalist in it.
        key: of the transforms.
    """
    cohort = cohort_of(job)
    whole = (job.dataset.folds, job.dataset.complete, job.fold, key)
    return _remember(cohort.folds, whole, _FOLDS, lambda: _prepare(job, cohort, parser))


def fold_datalist(job: Job) -> Datalist:
    """The cases of a job's fold, as the configuration's own computations read them from a file.

    They are the same for all methods, whatever modalities a method takes.

    Raises:
        MedmdError: a list is empty.
        WriteError: the fold's datalist cannot be written.
    """
    cohort = cohort_of(job)
    # A process may work for several folders, and a datalist stand in several data sets of a plan.
    path = job.place.root / "folds" / job.dataset.name / f"fold{job.fold}.json"
    whole = (path, job.dataset.folds, job.dataset.complete)
    if whole not in cohort.datalists:
        cohort.datalists[whole] = _fold_datalist(job, cohort.datalist, path)
    return cohort.datalists[whole]


def _fold_datalist(job: Job, datalist: Datalist, path: Path) -> Datalist:
    splits = _splits(job, datalist)
    for name in _LISTS:
        if not splits[name]:
            kept = f" complete keeps cases with {', '.join(datalist.header.inputs)}." if job.dataset.complete else ""
            msg = f"{job.dataset.name}, fold {job.fold}: expected cases in the list {name}, got none.{kept}"
            raise MedmdError(msg)
    if job.dataset.folds is None and not job.dataset.complete:
        return datalist
    found = Datalist(header=datalist.header, splits=splits, path=path)
    if not path.exists() or _ids(load_datalist(path)) != _ids(found):
        write_datalist(path, found)
    return found


def _ids(datalist: Datalist) -> dict[str, list[str]]:
    return {name: [case.case_id for case in datalist.splits.get(name, ())] for name in _LISTS}


def _splits(job: Job, datalist: Datalist) -> dict[str, list[Case]]:
    if job.dataset.folds is None:
        splits = {name: list(datalist.splits.get(name, ())) for name in _LISTS}
    else:
        cases = [case for _, case in datalist.cases()]
        parts = split_by_patient(cases, seed=SPLIT_SEED, folds=job.dataset.folds, target=datalist.header.target)
        splits = parts[job.fold]
    # All are folded, and what cannot be used is left out afterwards, so that a fold is the converter's fold.
    inputs = set(datalist.header.inputs)
    return {name: [case for case in splits[name] if _is_used(job, case, inputs)] for name in _LISTS}


def _is_used(job: Job, case: Case, inputs: AbstractSet[str]) -> bool:
    return not job.dataset.complete or (case.target is not None and inputs <= set(case.present))


def _read(path: Path) -> Cohort:
    datalist = load_datalist(path)
    items: dict[str, dict[str, Any]] = {}
    for split, cases in datalist.splits.items():
        if any(case.target is not None and case.present for case in cases):
            items |= {item["case_id"]: item for item in load_items(path, split, labelled=True)}
    return Cohort(datalist=datalist, items=items)


def _prepare(job: Job, cohort: Cohort, parser: ConfigParser) -> Fold:
    modalities = parser.config["modalities"]
    datalist = fold_datalist(job)
    lists = {name: _usable(cohort, datalist.splits[name], modalities) for name in _LISTS}
    transforms = list(parser.get_parsed_content("train#preprocessing").transforms)
    plain = parser.get_parsed_content("validate#preprocessing")
    cases = CaseDataset(lists["training"], Reseeded(transforms), seed=0, progress=False)
    is_random = any(isinstance(transform, RandomizableTrait) for transform in transforms)
    training = cases if is_random else Stacked([cases[index] for index in range(len(cases))])
    made: dict[str, tuple[dict[str, Any], ...]] = {}

    def batches(name: str) -> tuple[dict[str, Any], ...]:
        if name not in made:
            made[name] = in_batches([plain(dict(item)) for item in lists[name]])
        return made[name]

    return Fold(
        datalist=datalist,
        training=training,
        count=len(lists["training"]),
        batches={name: partial(batches, name) for name in _LISTS},
    )


def _usable(cohort: Cohort, cases: Sequence[Case], modalities: Sequence[str]) -> list[dict[str, Any]]:
    """The labelled cases that have one of the modalities, with nothing else for a transform to load."""
    kept = {"case_id", "patient_id", "laterality", "target", *modalities}
    found = [cohort.items[case.case_id] for case in cases if case.case_id in cohort.items]
    return [
        {name: value for name, value in item.items() if name in kept}
        for item in found
        if any(item.get(name) is not None for name in modalities)
    ]


def _remember(held: dict[Any, Any], key: Any, most: int, make: Callable[[], Any]) -> Any:
    """What is held under `key`, made when absent; the oldest of more than `most` is let go."""
    if key not in held:
        while len(held) >= most:
            held.pop(next(iter(held)))
        held[key] = make()
    return held[key]
