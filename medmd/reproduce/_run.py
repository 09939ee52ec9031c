"""Run what a table lacks, with the benchmark's engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.reproduce._asked import check_dataset, seeds_with, with_asked
from medmd.reproduce._items import SETTINGS, Item
from medmd.reproduce._plan import methods_for, plan_for
from medmd.utils import MedmdError, read_json

if TYPE_CHECKING:
    from medmd.benchmark import DatasetPlan, Plan

# Of a data set and a plan that are not there yet.
EPOCHS, SEEDS = 30, 5
PHANTOM = {"n": 480, "seed": 42}


def run_missing(
    item: Item,
    work: Path,
    dataset: Mapping[str, Any],
    *,
    seeds: int | None = None,
    jobs: int = 1,
    data: Path | None = None,
) -> list[str]:
    """Run every line of an item that has not been run on a data set, and nothing else; finished runs stay.

    Args:
        item: a table or figure made from runs.
        work: folder of the benchmark, with a plan already or not.
        dataset: its `name`, and what is asked for as a plan has it: `epochs`, `overlays`, `folds`, `phantom`. What is
            not asked for is as the folder's plan has it, or 30 epochs on a phantom of 480 eyes.
        seeds: of each row, counted from 0; None for those of the plan, or 5. More than the plan has are added to it.
        jobs: processes; 0 works in this one.
        data: folder of the data set, where it is no phantom.

    Returns:
        Sentences about lines that cannot be run.

    Raises:
        MedmdError: the folder's plan has the data set otherwise than is asked for, the data set is not at hand, no line
            of the item is of it, or the plan cannot be run.
    """
    from medmd.benchmark import run_plan
    from medmd.commands.bundle_path import bundle_folder

    name = str(dataset["name"])
    file = work / "plan.json"
    base = read_json(file) if file.is_file() else None
    there = next((each for each in (base or {}).get("datasets", ()) if each["name"] == name), None)
    if there is not None:
        _check_planned(item, work, there, dataset, data)
    if base is not None:
        base = {**base, "seeds": seeds_with(base["seeds"], seeds, work=work)}
    known = [f"{path.parent.name}/{path.stem}" for path in bundle_folder().glob("*/*.json")]
    new = [there or _complete(dataset, data)]
    content, left_out = plan_for(item, new, seeds=seeds or SEEDS, base=base, known=known)
    methods = methods_for(item, content, name)
    if not methods and not left_out:
        expected = ", ".join(each for _, names, _ in SETTINGS.values() for each in names)
        msg = f"--dataset: expected a data set of one of the paper's settings ({expected}), got {name}."
        raise MedmdError(msg)
    if methods:
        work.mkdir(parents=True, exist_ok=True)
        given = {} if data is None else {name: data}
        run_plan(_plan(item, content), work, jobs=jobs, only=[name, *methods], data=given, tracking=False)
    return [f"{each} cannot be run: the bundle has no overlay for it." for each in left_out]


def _check_planned(
    item: Item, work: Path, there: Mapping[str, Any], asked: Mapping[str, Any], data: Path | None
) -> None:
    if data is None and there.get("phantom") is None:
        msg = f"{there['name']}: no data. The plan in {work} does not keep its folder; name it with --data DIR."
        raise MedmdError(msg)
    # Both as a plan is read, so that `grape` and `data/grape` are one overlay.
    before, now = (_read(item, each) for each in (there, with_asked(there, asked)))
    check_dataset(before, now, work=work)


def _read(item: Item, dataset: Mapping[str, Any]) -> DatasetPlan:
    # No plan is without a method.
    method = {"name": "constant", "peer": "constant"}
    return _plan(item, {"name": item.name, "seeds": 1, "datasets": [dataset], "methods": [method]}).datasets[0]


def _complete(dataset: Mapping[str, Any], data: Path | None) -> dict[str, Any]:
    """A data set that no plan has yet, with what was not asked for."""
    phantom = {} if data is not None else {"phantom": {**PHANTOM, **(dataset.get("phantom") or {})}}
    return {"epochs": EPOCHS, **dataset, **phantom}


def _plan(item: Item, content: Mapping[str, Any]) -> Plan:
    from medmd.benchmark import make_plan

    return make_plan(dict(content), where=f"reproduce {item.name}")
