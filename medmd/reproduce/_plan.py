"""What has to be run for a table, as the plan of a benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medmd.reproduce._items import SETTINGS, Item
from medmd.reproduce._lines import Line


def plan_for(
    item: Item,
    datasets: Sequence[Mapping[str, Any]],
    *,
    seeds: int | Sequence[int] = 1,
    base: Mapping[str, Any] | None = None,
    known: Iterable[str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The plan that runs every line of an item.

    Args:
        item: a table or figure made from runs.
        datasets: data sets as a plan has them.
        seeds: of all methods.
        base: plan of the folder, to which lines are added.
        known: overlays that there are; lines of others are left out. None keeps all.

    Returns:
        The plan as plain data, and the names of lines that were left out.
    """
    plan: dict[str, Any] = dict(base or {"name": f"reproduce-{item.name}", "seeds": seeds})
    plan["datasets"] = [*plan.get("datasets", []), *(each for each in datasets if not _has(plan, each["name"]))]
    methods = list(plan.get("methods", []))
    left_out = []
    overlays = None if known is None else set(known)
    for line in _lines(item, [str(each["name"]) for each in plan["datasets"]]):
        chosen = _runnable(line, overlays)
        if chosen is None:
            left_out.append(line.name)
        elif not any(_same(method, chosen) for method in methods):
            methods.append(_method(chosen))
    plan["methods"] = methods
    return plan, left_out


def _lines(item: Item, datasets: Sequence[str]) -> list[Line]:
    if item.kind != "settings":
        return list(item.needed)
    here = [lines for _, names, lines in SETTINGS.values() if any(name in names for name in datasets)]
    return [line for lines in here for line in lines]


def _runnable(line: Line, known: set[str] | None) -> Line | None:
    """The line by the first of its overlays that are all there."""
    if line.peer is not None or known is None:
        return line
    fits = [names for names in line.overlays if all(_long(name) in known for name in names)]
    return line.with_(overlays=tuple(fits)) if fits else None


def _method(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {"name": line.method, "title": line.title, "label": line.label}
    if line.peer is not None:
        return {"name": line.method, "title": line.title, "peer": line.peer, "label": "peer"}
    found["overlays"] = [_long(name) for name in line.overlays[0]]
    if line.stage_one is not None:
        # A run without stage 2 has no fused prediction.
        found |= {"name": line.method, "stage_one": line.stage_one}
    if line.overrides:
        found["overrides"] = dict(line.overrides)
    return found


def _same(method: Mapping[str, Any], line: Line) -> bool:
    if method.get("of"):
        return False
    if line.peer is not None:
        return method.get("peer") == line.peer
    overlays = [_long(name) for name in method.get("overlays") or ()]
    wanted = [[_long(name) for name in names] for names in line.overlays]
    settings = dict(method.get("overrides") or {}) == dict(line.overrides)
    return overlays in wanted and settings and method.get("stage_one") == line.stage_one and not method.get("peer")


def _long(overlay: str) -> str:
    return overlay if "/" in overlay else f"methods/{overlay}"


def _has(plan: Mapping[str, Any], dataset: str) -> bool:
    return any(each["name"] == dataset for each in plan.get("datasets", []))
