"""Walks through a configuration along its paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monai.bundle import ReferenceResolver

from medmd.workflows.check_config._findings import Path, Place, short, show
from medmd.workflows.check_config._near import did_you_mean, nearest


def entries(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every entry of a configuration with its path, containers before what they hold."""
    yield path, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from entries(item, (*path, str(name)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from entries(item, (*path, str(number)))


def place_of(places: dict[Path, Place], path: Path) -> Place | None:
    """Where an entry, or the nearest one around it, is written."""
    for length in range(len(path), 0, -1):
        if path[:length] in places:
            return places[path[:length]]
    return None


def references(config: Any) -> dict[Path, set[Path]]:
    """The paths that each text of the configuration refers to, by the path of the text."""
    found = {}
    for path, value in entries(config):
        if isinstance(value, str) and "@" in value:
            found[path] = {tuple(name.split("::")) for name in ReferenceResolver.match_refs_pattern(value)}
    return {path: named for path, named in found.items() if named}


def first_missing(config: Any, path: Path) -> tuple[str, str]:
    """What of a path is not there, in words, and what may have been meant; two empty texts when all of it is."""
    found = config
    for depth, part in enumerate(path):
        above = show(path[:depth]) or "the configuration"
        if isinstance(found, dict):
            if part not in found:
                near = nearest(part, found)
                return f"{above} has no key {part!r}", did_you_mean(near and show((*path[:depth], near)))
            found = found[part]
        elif isinstance(found, list):
            if not part.isdecimal() or int(part) >= len(found):
                return f"{above} is a list of {len(found)}, without an entry {part!r}", ""
            found = found[int(part)]
        else:
            # `--size 1,2,3` gives Python's other list, into which MONAI does not look.
            fix = f'write "{list(found)}"' if isinstance(found, tuple) else ""
            return f"{above} is {short(found)}, which has no entries for MONAI", fix
    return "", ""


def value_at(config: Any, path: Path) -> Any:
    """The entry at a path that exists."""
    for part in path:
        config = config[int(part)] if isinstance(config, list) else config[part]
    return config


def all_paths(config: Any) -> set[Path]:
    """Every path in a configuration."""
    return {path for path, _ in entries(config)}
