"""Run what a table lacks, with the benchmark's engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medmd.reproduce._items import Item
from medmd.reproduce._plan import plan_for
from medmd.utils import read_json


def run_missing(
    item: Item, work: Path, dataset: Mapping[str, Any], *, seeds: int, jobs: int, data: Path | None = None
) -> list[str]:
    """Run every line of an item that has not been run; finished runs stay.

    Args:
        item: a table or figure made from runs.
        work: folder of the benchmark, with a plan already or not.
        dataset: as a plan has it; not used when the folder's plan has one of its name.
        seeds: of each row, where there is no plan yet.
        jobs: processes; 0 works in this one.
        data: folder of the data set, where it is no phantom.

    Returns:
        Sentences about lines that cannot be run.

    Raises:
        MedmdError: the plan cannot be run.
    """
    from medmd.benchmark import make_plan, run_plan
    from medmd.commands.bundle_path import bundle_folder

    known = [f"{path.parent.name}/{path.stem}" for path in bundle_folder().glob("*/*.json")]
    file = work / "plan.json"
    base = _as_written(read_json(file)) if file.is_file() else None
    plan, left_out = plan_for(item, [dataset], seeds=seeds, base=base, known=known)
    work.mkdir(parents=True, exist_ok=True)
    checked = make_plan(plan, folder=work.absolute(), where=f"reproduce {item.name}")
    run_plan(checked, work, jobs=jobs, data={} if data is None else {str(dataset["name"]): data}, tracking=False)
    return [f"{name} cannot be run: the bundle has no overlay for it." for name in left_out]


def _as_written(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved plan as one that can be read: without its format and without what was not set."""
    found = {key: value for key, value in plan.items() if key != "format" and value is not None}
    for kind in ("datasets", "methods"):
        found[kind] = [
            {key: value for key, value in each.items() if value not in (None, "", {}, [], ())}
            for each in found.get(kind, ())
        ]
    return found
