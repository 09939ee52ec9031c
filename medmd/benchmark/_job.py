"""What a worker is told: which run, of what, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medmd.benchmark._plan import DatasetPlan, Limits, MethodPlan, TuningPlan
from medmd.benchmark._work import RunKey, Work


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training, or one fit of a peer.

    Attributes:
        work: folder of the benchmark.
        dataset: where.
        method: what.
        datalist: path of the whole cohort.
        fold: number of the fold, 0 without folds.
        seed: of weights, order and augmentation.
        settings: found by the search, laid over the plan's overrides.
        limits: what the process may take.
    """

    work: Path
    dataset: DatasetPlan
    method: MethodPlan
    datalist: Path
    fold: int
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def key(self) -> RunKey:
        """Which run."""
        return RunKey(self.dataset.name, self.method.name, self.fold, self.seed)

    @property
    def place(self) -> Work:
        """The benchmark's folder."""
        return Work(self.work)

    @property
    def overrides(self) -> dict[str, Any]:
        """Settings of the data set, then of the method, then those found by the search."""
        return {**self.dataset.overrides, **self.method.overrides, **self.settings}

    @property
    def epochs(self) -> dict[str, int]:
        """Epochs by stage for a method with stage 1; together those of the data set."""
        share = self.dataset.stage_one if self.method.stage_one is None else self.method.stage_one
        total = self.dataset.epochs
        # A share that is above 0 means at least one epoch, and below 1 leaves at least one.
        first = min(max(round(total * share), int(share > 0)), total - int(share < 1))
        return {"pretrain": first, "train": total - first}


@dataclass(frozen=True, kw_only=True)
class TuningJob:
    """The search of a method's settings on a data set.

    Attributes:
        first: the trial's run, without settings.
        tuning: what is searched.
        seeds: of a trial, which is their mean.
        retry: begin anew when all trials so far have failed.
    """

    first: Job
    tuning: TuningPlan
    seeds: tuple[int, ...]
    retry: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a worker tells of its job.

    Attributes:
        job: what it was.
        status: `finished`, `failed`, or `broken` when the benchmark cannot go on.
        message: why, for the last.
    """

    job: Job | TuningJob
    status: str
    message: str = ""
