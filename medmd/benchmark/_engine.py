"""The benchmark itself: what is missing is handed out, until nothing is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medmd.benchmark._changed import changed_runs
from medmd.benchmark._check_settings import check_settings
from medmd.benchmark._data import check_data, find_data
from medmd.benchmark._job import Job
from medmd.benchmark._plan import Plan
from medmd.benchmark._plan_file import check_same_plan, open_work
from medmd.benchmark._runs import Runs, load_runs
from medmd.benchmark._schedule import Start, check_only, missing_runs, missing_searches
from medmd.benchmark._tracking import Tracker
from medmd.benchmark._work import Work
from medmd.benchmark._worker import lost, work_on
from medmd.benchmark._write_run import remove_leftovers
from medmd.utils import MedmdError, Pool, open_pool, progress
from medmd.workflows import hold_folder

_LOGGER = logging.getLogger(__name__)
_PRELOAD = ("medmd.benchmark._worker", "medmd.benchmark._train", "medmd.engines", "medmd.handlers", "medmd.networks")
_SECONDS_AN_HOUR = 3600.0


def run_plan(
    plan: Plan,
    work: str | Path,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    only: Sequence[str] = (),
    retry_failed: bool = False,
    data: Mapping[str, str | Path] | None = None,
    tracking: bool = True,
) -> Runs:
    """Run what a plan lacks: first the searches of its core methods, then the runs.

    A run that fails is recorded and does not end the benchmark. Stopped at any moment and started again, nothing that
    was finished is run again.

    Args:
        plan: what is compared.
        work: folder of the runs.
        jobs: processes of this machine; None for one a core, 0 works in this process.
        scheduler: address of a Dask scheduler, in the place of processes.
        only: names of data sets and of methods to run now; empty for all.
        retry_failed: run those again that failed, and searches all of whose trials failed.
        data: by data set, the folder of its datalist (or that file), in the place of what the plan says.
        tracking: tell MLflow of each run.

    Returns:
        What is there then.

    Raises:
        MedmdError: the folder holds another plan, a setting is one that nothing takes, a data set is not at hand, or
            results cannot be written.
        Stopped: SIGTERM or Ctrl-C came; what runs is dropped, what has ended is kept.
    """
    place = Work(Path(work).absolute())
    start = Start(jobs=jobs, scheduler=scheduler, only=only, retry_failed=retry_failed, data=data)
    check_only(plan, only)
    check_settings(plan, place, start)
    check_data(plan, start)
    hold_folder(place.root, where="work")
    # Before phantoms are made: the folder of another plan is not written into.
    check_same_plan(place, plan, {})
    datalists = find_data(plan, place, start)
    open_work(place, plan, datalists)
    remove_leftovers(place)
    for sentence in changed_runs(plan, place, start, datalists):
        _LOGGER.warning("%s", sentence)
    deadline = None if plan.limits.hours is None else time.monotonic() + plan.limits.hours * _SECONDS_AN_HOUR
    with Tracker(place, plan, enabled=tracking).running() as tracker, _workers(start) as pool:
        searches = missing_searches(plan, place, start, datalists)
        _hand_out(pool, searches, "Searching settings", "method", deadline, lambda _: None)
        runs = missing_runs(plan, place, start, datalists)
        _hand_out(pool, runs, "Running", "run", deadline, lambda job: tracker.tell(place.run(job.key)))
    return load_runs(place.root)


def _hand_out(
    pool: Pool,
    jobs: Sequence[Any],
    description: str,
    unit: str,
    deadline: float | None,
    ended: Callable[[Any], None],
) -> None:
    if not jobs:
        return
    outcomes = pool.map(work_on, _until(jobs, deadline), lost=lost, ordered=False, ahead=1)
    for outcome in progress(outcomes, total=len(jobs), description=description, unit=unit):
        if outcome.status == "broken":
            raise MedmdError(outcome.message)
        if outcome.status == "failed":
            key = outcome.job.key if isinstance(outcome.job, Job) else outcome.job.first.key
            _LOGGER.warning("%s: failed: %s", key, outcome.message)
        ended(outcome.job)


def _until(jobs: Iterable[Any], deadline: float | None) -> Iterator[Any]:
    for number, job in enumerate(jobs):
        if deadline is not None and time.monotonic() > deadline:
            _LOGGER.warning("limits: the hours are over after %d. Start it again to go on.", number)
            return
        yield job


class _InThisProcess:
    """A pool without processes."""

    def map(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        *,
        lost: Callable[[Any], Any],
        ordered: bool = True,
        ahead: int = 1,
    ) -> Iterator[Any]:
        """See `medmd.utils.Pool`."""
        return (function(item) for item in items)


@contextmanager
def _workers(start: Start) -> Iterator[Pool]:
    if start.jobs == 0 and start.scheduler is None:
        yield _InThisProcess()
    else:
        with open_pool(workers=start.jobs, scheduler=start.scheduler, preload=_PRELOAD) as pool:
            yield pool
