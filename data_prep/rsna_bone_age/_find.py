"""Which table of a folder tells of which part of RSNA bone age."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep._tables import SUFFIXES, read_rows
from medmd.utils import MedmdError

# What the name of a table, or of a folder, says of the part.
_PARTS = {"train": "training", "val": "validation", "test": "testing"}
_TRUTH = re.compile(r"ground[ _-]?truth")
_IDS = ("id", "image id", "case id")
_AGES = ("boneage", "bone age (months)", "ground truth bone age (months)")
_SEXES = ("male", "sex")
# How well a table's path tells of the part: a smaller number is better.
_BY_TRUTH, _BY_NAME, _BY_FOLDER = range(3)


def find_tables(source: Path) -> tuple[dict[str, Path], list[Path]]:
    """Part -> table; and the tables that are not used.

    A table of the ground truth is that of the part its folders name, or of the test part, and goes before one without
    it. Otherwise a table's name tells the part, else the folders that it lies in, if its columns are those of a part.

    Raises:
        MedmdError: none of the training part, or two that are one part's with equal right.
    """
    ranked: dict[str, dict[int, list[Path]]] = {}
    every = sorted(path for suffix in SUFFIXES for path in files_of_release(source, f"*{suffix}"))
    for path in every:
        part, rank = _part(path.relative_to(source))
        if part and (rank < _BY_FOLDER or _has_columns(path)):
            ranked.setdefault(part, {}).setdefault(rank, []).append(path)
    tables = {part: _only(source, part, found[min(found)]) for part, found in ranked.items()}
    if "training" not in tables:
        msg = f"{source}: expected boneage-training-dataset.csv with the columns id, boneage, male; it is absent."
        raise MedmdError(msg)
    # In the order of their paths, which becomes the order of the cases.
    ordered = dict(sorted(tables.items(), key=lambda item: item[1]))
    return ordered, [path for path in every if path not in ordered.values()]


def files_of_release(source: Path, pattern: str) -> list[Path]:
    """Files below `source`, sorted; without those that macOS and Excel put beside them."""
    return sorted(
        path
        for path in source.rglob(pattern)
        if not any(name.startswith((".", "~$")) or name == "__MACOSX" for name in path.relative_to(source).parts)
    )


def columns_of(header: Sequence[Any]) -> tuple[list[str], tuple[int | None, int | None, int | None]]:
    """The names of the columns in small letters, and the places of number, bone age and sex among them."""
    names = [str(name).strip().lower() for name in header]
    places = [next((names.index(name) for name in wanted if name in names), None) for wanted in (_IDS, _AGES, _SEXES)]
    return names, (places[0], places[1], places[2])


def _part(path: Path) -> tuple[str | None, int]:
    """The part that a path below the source tells of, and how well."""
    named = _part_of(path.stem)
    in_folder = next((part for folder in reversed(path.parts[:-1]) if (part := _part_of(folder))), None)
    if _TRUTH.search(path.stem.lower()):
        return named or in_folder or "testing", _BY_TRUTH
    return (named, _BY_NAME) if named else (in_folder, _BY_FOLDER)


def _part_of(name: str) -> str | None:
    return next((part for word, part in _PARTS.items() if word in name.lower()), None)


def _has_columns(path: Path) -> bool:
    header, *_ = read_rows(path) or [()]
    _, (ids, ages, sexes) = columns_of(header)
    return None not in (ids, ages, sexes)


def _only(source: Path, part: str, found: Sequence[Path]) -> Path:
    if len(found) > 1:
        names = " and ".join(path.relative_to(source).as_posix() for path in found[:2])
        msg = f"{source}: expected one table of the part {part}, found {names}. Leave the one that is meant."
        raise MedmdError(msg)
    return found[0]
