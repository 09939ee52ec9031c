"""Which searches and runs a plan still lacks, and in which order they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medmd.benchmark._job import Job, TuningJob
from medmd.benchmark._plan import DatasetPlan, MethodPlan, Plan
from medmd.benchmark._work import RunKey, Work
from medmd.utils import MedmdError, read_json


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a benchmark is started.

    Attributes:
        jobs: processes; None for one a core, 0 for none but this one.
        scheduler: address of a Dask scheduler, in the place of processes of this machine.
        only: names of data sets and methods; empty for all.
        retry_failed: run failed runs again, and searches all of whose trials failed.
        data: by data set, the folder of its datalist, in the place of the plan's.
    """

    jobs: int | None = None
    scheduler: str | None = None
    only: Sequence[str] = ()
    retry_failed: bool = False
    data: Mapping[str, str | Path] | None = None


def check_only(plan: Plan, only: Sequence[str]) -> None:
    """Refuse names that the plan has not.

    Raises:
        MedmdError: as said.
    """
    known = [*(each.name for each in plan.datasets), *(each.name for each in plan.methods)]
    unknown = [name for name in only if name not in known]
    if unknown:
        msg = f"--only: the plan has no {', '.join(unknown)}. Expected some of {', '.join(known)}."
        raise MedmdError(msg)


def is_asked(plan: Plan, start: Start, dataset: DatasetPlan, method: MethodPlan) -> bool:
    """Whether `only` leaves a data set and a method in; a name of one kind alone leaves the other kind whole."""
    datasets = [each.name for each in plan.datasets if each.name in start.only]
    methods = [each.of or each.name for each in plan.methods if each.name in start.only]
    return (not datasets or dataset.name in datasets) and (not methods or method.name in methods)


def planned(plan: Plan, start: Start) -> Iterator[tuple[DatasetPlan, MethodPlan, RunKey]]:
    """Every run that is asked for: those of one data set, seed and fold one after the other, so that they share it."""
    for dataset in plan.datasets:
        methods = [each for whose, each in plan.pairs() if whose is dataset and is_asked(plan, start, dataset, each)]
        seeds = dict.fromkeys(seed for method in methods for seed in plan.seeds_of(method))
        for seed in seeds:
            for fold in dataset.runs:
                for method in methods:
                    if seed in plan.seeds_of(method):
                        yield dataset, method, RunKey(dataset.name, method.name, fold, seed)


def is_missing(work: Work, start: Start, key: RunKey) -> bool:
    """Whether a run has not ended, or failed and is asked for again."""
    status = work.status(key)
    return status is None or (status == "failed" and start.retry_failed)


def missing_runs(plan: Plan, work: Work, start: Start, datalists: Mapping[str, Path]) -> list[Job]:
    """The runs that have not ended, or failed and are asked for again.

    A core method whose search found no settings is not run: with other settings it would stand beside searched ones.
    """
    found = []
    for dataset, method, key in planned(plan, start):
        if _is_ready(work, plan, dataset, method, key.fold) and is_missing(work, start, key):
            found.append(job_of(plan, work, datalists, dataset, method, key))
    return found


def missing_searches(plan: Plan, work: Work, start: Start, datalists: Mapping[str, Path]) -> list[TuningJob]:
    """The searches that have not come to their end, for methods with runs to make.

    Each fold has its own: the validation cases of one are tested on in another.
    """
    seen: set[tuple[str, str, int]] = set()
    found = []
    for dataset, method, key in planned(plan, start):
        where = (dataset.name, method.name, key.fold)
        if where in seen or plan.tuning is None or not plan.is_tuned(dataset, method):
            continue
        seen.add(where)
        path = work.tuning(*where)
        if not path.is_file() or read_json(path)["chosen"] is None:
            seeds = plan.seeds_of(method)[: plan.tuning.seeds]
            first = _job(plan, work, datalists, dataset, method, key._replace(seed=seeds[0]))
            found.append(TuningJob(first=first, tuning=plan.tuning, seeds=seeds, retry=start.retry_failed))
    return found


def job_of(
    plan: Plan, work: Work, datalists: Mapping[str, Path], dataset: DatasetPlan, method: MethodPlan, key: RunKey
) -> Job:
    """A run, with the settings that a search has found for its method."""
    job = _job(plan, work, datalists, dataset, method, key)
    return replace(job, settings=_chosen(work, plan, dataset, method, key.fold))


def _job(
    plan: Plan, work: Work, datalists: Mapping[str, Path], dataset: DatasetPlan, method: MethodPlan, key: RunKey
) -> Job:
    return Job(
        work=work.root,
        dataset=dataset,
        method=method,
        datalist=datalists[dataset.name],
        fold=key.fold,
        seed=key.seed,
        limits=plan.limits,
    )


def _chosen(work: Work, plan: Plan, dataset: DatasetPlan, method: MethodPlan, fold: int) -> dict[str, Any]:
    path = work.tuning(dataset.name, method.name, fold)
    if not plan.is_tuned(dataset, method) or not path.is_file():
        return {}
    return dict(read_json(path)["chosen"] or {})


def _is_ready(work: Work, plan: Plan, dataset: DatasetPlan, method: MethodPlan, fold: int) -> bool:
    """Whether the settings of a run are known: none are searched, or the search has come to its end."""
    path = work.tuning(dataset.name, method.name, fold)
    return not plan.is_tuned(dataset, method) or (path.is_file() and read_json(path)["chosen"] is not None)
