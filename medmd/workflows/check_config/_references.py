"""References: every `@name` must lead somewhere, and none may lead back to itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.bundle import ConfigComponent, ConfigExpression

from medmd.workflows.check_config._findings import Finding, Path, show
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._paths import all_paths, entries, first_missing, references

# An `@` without a name, as in a product of matrices.
LONE = ("",)


def check_references(merged: Merged) -> None:
    """Note references that lead nowhere, and circles among the others."""
    known = all_paths(merged.config)
    for path, named in references(merged.config).items():
        for target in sorted(named - known):
            # What begins with nothing is a relative name that went too far up, which is told already.
            if target[0]:
                merged.add(_unresolved(merged, path, target))
        if LONE in named:
            what = "a lone @ refers to the whole configuration"
            merged.add(Finding("error", "circular-reference", path, what, fix="for a matrix product use torch.matmul"))
    for circle in _circles(merged.config):
        chain = " -> ".join(show(path) for path in (*circle, circle[0]))
        what = f"the references go round in a circle: {chain}"
        merged.add(Finding("error", "circular-reference", circle[0], what, fix="give one of them a value"))


def _unresolved(merged: Merged, path: Path, target: Path) -> Finding:
    what, near = first_missing(merged.config, target)
    return Finding("error", "unresolved-reference", path, f"@{show(target)} leads nowhere: {what}", fix=near)


def _circles(config: Any) -> list[tuple[Path, ...]]:
    """One circle of paths for each way back that a walk along the references meets."""
    needs = _needs(config)
    found: dict[frozenset[Path], tuple[Path, ...]] = {}
    done: set[Path] = set()
    for start in sorted(needs):
        trail: list[Path] = []
        ahead: list[Iterator[Path]] = [iter((start,))]
        while ahead:
            item = next(ahead[-1], None)
            if item is None:
                ahead.pop()
                if trail:
                    done.add(trail.pop())
            elif item in trail:
                circle = tuple(trail[trail.index(item) :])
                found.setdefault(frozenset(circle), circle)
            elif item not in done:
                trail.append(item)
                ahead.append(iter(sorted(needs.get(item, ()))))
    return [_from_smallest(circle) for circle in found.values()]


def _from_smallest(circle: tuple[Path, ...]) -> tuple[Path, ...]:
    begin = circle.index(min(circle))
    return circle[begin:] + circle[:begin]


def _needs(config: Any) -> dict[Path, set[Path]]:
    """What MONAI makes first for each entry: all that stands in it and must be made, and all that this refers to."""
    named = references(config)
    needs: dict[Path, set[Path]] = {}
    for path, value in entries(config):
        made = {path} if ConfigComponent.is_instantiable(value) or ConfigExpression.is_expression(value) else set()
        wanted = named.get(path, set())
        if wanted:
            needs.setdefault(path, set()).update(wanted)
        for length in range(1, len(path)):
            if made or wanted:
                needs.setdefault(path[:length], set()).update(made | wanted)
    return {path: wanted & _existing(config, wanted) for path, wanted in needs.items()}


def _existing(config: Any, wanted: set[Path]) -> set[Path]:
    return {path for path in wanted if not first_missing(config, path)[0]}
