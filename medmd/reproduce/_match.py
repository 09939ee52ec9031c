"""Which method of a plan is a line of the paper: told by what it is, not by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from medmd.reproduce._lines import Line

# A method as a plan has it.
Method = Mapping[str, Any]


def method_of(line: Line, methods: Iterable[Method]) -> str | None:
    """The name of the method that is a line, by the first of the line's overlays that one has; None when none is."""
    found = [(way, str(method["name"])) for method in methods if (way := _way(method, line)) is not None]
    return min(found, key=lambda each: each[0])[1] if found else None


def is_on(method: Method, dataset: str) -> bool:
    """Whether a method is run on a data set; one that names none is run on all."""
    return dataset in (method.get("datasets") or [dataset])


def long_name(overlay: str) -> str:
    """An overlay as a plan keeps it: `methods/sgm` for `sgm`."""
    return overlay if "/" in overlay else f"methods/{overlay}"


def _way(method: Method, line: Line) -> int | None:
    """Which of the line's overlays a method has, 0 for a peer; None when it is another method."""
    if method.get("of"):
        return None
    if method.get("peer") or line.peer is not None:
        return 0 if method.get("peer") == line.peer else None
    given = [long_name(name) for name in method.get("overlays") or ()]
    ways = [[long_name(name) for name in names] for names in line.overlays]
    settings = dict(method.get("overrides") or {}) == dict(line.overrides)
    return ways.index(given) if given in ways and settings and method.get("stage_one") == line.stage_one else None
