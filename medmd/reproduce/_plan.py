"""What has to be run for a table, as the plan of a benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medmd.reproduce._items import SETTINGS, Item, is_of_setting
from medmd.reproduce._lines import Line
from medmd.reproduce._match import is_on, long_name, method_of


def plan_for(
    item: Item,
    datasets: Sequence[Mapping[str, Any]],
    *,
    seeds: int | Sequence[int] = 1,
    base: Mapping[str, Any] | None = None,
    known: Iterable[str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The plan that runs every line of an item on some data sets, and nothing more on others.

    Args:
        item: a table or figure made from runs.
        datasets: data sets as a plan has them; of one that `base` has too, only the name counts.
        seeds: of all methods, where there is no `base`.
        base: plan of the folder, to which lines are added.
        known: overlays that there are; lines of others are left out. None keeps all.

    Returns:
        The plan as plain data, and the names of lines that were left out.
    """
    plan: dict[str, Any] = dict(base or {"name": f"reproduce-{item.name}", "seeds": seeds})
    there = {each["name"] for each in plan.get("datasets", [])}
    plan["datasets"] = [*plan.get("datasets", []), *(each for each in datasets if each["name"] not in there)]
    methods = [dict(method) for method in plan.get("methods", [])]
    overlays = None if known is None else set(known)
    left_out: dict[str, None] = {}
    for dataset in datasets:
        for line in _lines(item, dataset["name"]):
            chosen = _runnable(line, overlays)
            if chosen is None:
                left_out[line.name] = None
            else:
                _add(methods, chosen, dataset["name"])
    plan["methods"] = methods
    return plan, list(left_out)


def methods_for(item: Item, plan: Mapping[str, Any], dataset: str) -> list[str]:
    """The names of the plan's methods that are lines of an item on a data set."""
    here = [method for method in plan["methods"] if is_on(method, dataset)]
    found = (method_of(line, here) for line in _lines(item, dataset))
    return list(dict.fromkeys(name for name in found if name is not None))


def _lines(item: Item, dataset: str) -> Sequence[Line]:
    if item.kind != "settings":
        return item.needed
    return [line for _, names, lines in SETTINGS.values() if is_of_setting(dataset, names) for line in lines]


def _add(methods: list[dict[str, Any]], line: Line, dataset: str) -> None:
    """See that a line is run on a data set, but on no other one that did not ask for it."""
    if method_of(line, [method for method in methods if is_on(method, dataset)]) is not None:
        return
    elsewhere = method_of(line, methods)
    if elsewhere is None:
        methods.append({**_method(line), "datasets": [dataset]})
    for method in methods:
        if method["name"] == elsewhere:
            method["datasets"] = [*method["datasets"], dataset]


def _runnable(line: Line, known: set[str] | None) -> Line | None:
    """The line by the first of its overlays that are all there."""
    if line.peer is not None or known is None:
        return line
    fits = [names for names in line.overlays if all(long_name(name) in known for name in names)]
    return line.with_(overlays=tuple(fits)) if fits else None


def _method(line: Line) -> dict[str, Any]:
    if line.peer is not None:
        return {"name": line.method, "title": line.title, "peer": line.peer, "label": "peer"}
    found: dict[str, Any] = {"name": line.method, "title": line.title, "label": line.label}
    found["overlays"] = [long_name(name) for name in line.overlays[0]]
    if line.stage_one is not None:
        found["stage_one"] = line.stage_one
    if line.overrides:
        found["overrides"] = dict(line.overrides)
    return found
