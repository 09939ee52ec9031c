"""What a benchmark would still run, and how long that may take by the runs that have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.benchmark._check_settings import check_settings
from medmd.benchmark._plan import DatasetPlan, MethodPlan, Plan
from medmd.benchmark._plan_file import check_same_plan
from medmd.benchmark._runs import load_runs
from medmd.benchmark._schedule import Start, check_only, is_missing, planned
from medmd.benchmark._work import Work
from medmd.utils import cores, read_json

_MINUTE, _HOUR = 60.0, 3600.0


def describe_work(
    plan: Plan, work: str | Path, *, only: Sequence[str] = (), retry_failed: bool = False, jobs: int | None = None
) -> list[str]:
    """Lines for a reader: what would run, by data set and method, with an estimate. Nothing is run or written.

    The estimate is the mean wall time of a method's finished runs on the data set; without any, that of all methods
    there. Trials of a search count as runs.

    Raises:
        MedmdError: a name that the plan has not, a folder of another plan, or a setting that nothing takes.
    """
    check_only(plan, only)
    place, start = Work(Path(work)), Start(only=only, retry_failed=retry_failed)
    check_same_plan(place, plan, {})
    check_settings(plan, place, start)
    results = load_runs(place.root).results if place.plan.is_file() else None
    missing: dict[tuple[str, str], int] = {}
    for dataset, method, key in planned(plan, start):
        lacks = is_missing(place, start, key)
        missing[dataset.name, method.name] = missing.get((dataset.name, method.name), 0) + lacks
    seconds, lines = 0.0, []
    unknown = False
    for dataset, method in plan.pairs():
        count = missing.get((dataset.name, method.name), 0)
        trials = _trials(plan, place, start, dataset, method) if count else 0
        if not count:
            continue
        each = _mean_seconds(results, dataset.name, method.name)
        unknown = unknown or each is None
        seconds += (each or 0.0) * (count + trials)
        searched = f" and {trials} trainings of its search" if trials else ""
        lines.append(f"{dataset.name}, {method.name}: {count} runs{searched}, {_told(each)} each")
    total = sum(missing.values())
    if not total:
        return ["Nothing is missing."]
    workers = max(1, cores() if jobs is None else jobs)
    least = " at least" if unknown else ""
    known = f"about {_told(seconds / workers)}{least} with {workers} processes" if seconds else "no run to estimate by"
    return [*lines, f"{total} runs are missing: {known}."]


def _trials(plan: Plan, work: Work, start: Start, dataset: DatasetPlan, method: MethodPlan) -> int:
    if plan.tuning is None or not plan.is_tuned(dataset, method):
        return 0
    paths = [work.tuning(dataset.name, method.name, fold) for fold in dataset.runs]
    done = sum(_done(read_json(path)["trials"], start) for path in paths if path.is_file())
    return (len(paths) * plan.tuning.trials - done) * min(plan.tuning.seeds, len(plan.seeds_of(method)))


def _done(trials: Sequence[Mapping[str, Any]], start: Start) -> int:
    """How many trials of a search need not be made."""
    all_failed = not any(trial["status"] == "finished" for trial in trials)
    return 0 if all_failed and start.retry_failed else len(trials)


def _mean_seconds(results: pd.DataFrame | None, dataset: str, method: str) -> float | None:
    if results is None or results.empty:
        return None
    ended = results[(results["dataset"] == dataset) & (results["status"] == "finished")]
    own = ended[ended["method"] == method]
    found = (own if len(own) else ended)["wall"].dropna()
    return float(found.mean()) if len(found) else None


def _told(seconds: float | None) -> str:
    if seconds is None:
        return "unknown time"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
