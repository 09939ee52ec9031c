"""Finished runs whose configuration is no longer what the plan says now: an overlay or the package has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from medmd.benchmark._compose import fingerprint, parser_of
from medmd.benchmark._plan import Plan
from medmd.benchmark._schedule import Start, job_of, planned
from medmd.benchmark._work import RunKey, Work, read_result


def changed_runs(plan: Plan, work: Work, start: Start, datalists: Mapping[str, Path]) -> Iterator[str]:
    """A sentence for each method of which a finished run was made with another configuration.

    One run of a method on a data set stands for all: overlays and package are the same for all seeds and folds.

    Args:
        plan: what is compared.
        work: folder of the runs.
        start: which runs are asked for.
        datalists: by data set.
    """
    seen: set[tuple[str, str]] = set()
    for dataset, method, key in planned(plan, start):
        where = (dataset.name, method.name)
        if where in seen or method.peer is not None or work.status(key) != "finished":
            continue
        seen.add(where)
        recorded = read_result(work.run(key)).get("fingerprint")
        if recorded and recorded != fingerprint(parser_of(job_of(plan, work, datalists, dataset, method, key))):
            yield _sentence(key, work)


def _sentence(key: RunKey, work: Work) -> str:
    folder = work.run(key).parent.relative_to(work.root).as_posix()
    return (
        f"{key.dataset}, {key.method}: finished runs were made with another configuration than it has now; the package "
        f"or an overlay has changed. They are kept. To run them again, delete {folder}."
    )
