"""A first site file for an export, from a look at it."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from data_prep.hospital._propose_tables import Guess, fits_all, guess_table
from data_prep.hospital._site_sections import SECTIONS, Table
from data_prep.hospital._tables_rows import SUFFIXES, files_below
from medmd.utils import MedmdError

# Folders of an export look alike inside: a few files of each tell its formats.
_PER_FOLDER = 5
_MOST_FILES = 2000
_MOST_TABLES = 50
_WIDTH = 110
_HEAD = """\
Site file for python -m data_prep.hospital, proposed by --init. Read it through: it holds guesses.
It holds no cell of a table and no name of a folder or file but those of the tables themselves and of their columns.
A table's pattern begins with **/ where the table lies in a folder.
Settings are explained in docs/reference/site-file.md."""


def propose(source: Path) -> str:
    """Look at an export and propose a site file.

    Files are recognised by content, at most five of each folder. Tables are read in part: their headers are matched
    with names common in English, German, French and Spanish; from their cells only the notation of dates, the sign of
    MD, the unit of reliability and the number of unknown words are concluded.

    Args:
        source: folder of the export.

    Returns:
        A commented YAML text that `load_site` accepts; what could not be guessed is said in it. It holds no cell value,
        and no name of a file or folder but the tables'.

    Raises:
        MedmdError: there is no such folder.
    """
    if not source.is_dir():
        msg = f"{source}: expected the folder of an export. Archives must be unpacked first."
        raise MedmdError(msg)
    places = list(files_below(source))
    tables = [place for place in places if place.lower().endswith((".csv", ".tsv", ".xlsx"))]
    parts = [_comment(_HEAD), _found(places, source), "name: hospital\n"]
    parts += [_section(key, section) for key, section in SECTIONS.items() if key != "tables"]
    parts.append(_tables(_guesses(tables, source), len(tables)))
    return "\n".join(parts)


def _found(places: list[str], source: Path) -> str:
    counts: Counter[str] = Counter()
    for place in _sample(places):
        counts[_format(source / place)] += 1
    told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
    return _comment(f"{len(places)} files; formats of {counts.total()} that were looked at (tables aside): {told}.")


def _format(path: Path) -> str:
    from medmd.io import recognise

    try:
        return recognise(path) or "not recognised"
    except Exception:  # noqa: BLE001 - a damaged file must not stop the look at the others
        return "not readable"


def _sample(places: Iterable[str]) -> Iterator[str]:
    """A few files of each folder, tables left out."""
    seen: Counter[str] = Counter()
    for place in places:
        folder = place.rpartition("/")[0]
        if not place.lower().endswith(SUFFIXES) and seen[folder] < _PER_FOLDER and seen.total() < _MOST_FILES:
            seen[folder] += 1
            yield place


def _guesses(tables: Iterable[str], source: Path) -> list[Guess]:
    """One guess for each pattern; tables that cannot be understood are left out."""
    found: dict[str, Guess] = {}
    for place in list(tables)[:_MOST_TABLES]:
        guess = guess_table(source / place, source)
        if guess is not None:
            found.setdefault(guess.table.file, guess)
    return [fits_all(guess, source) for guess in found.values()]


def _section(key: str, section: Any) -> str:
    lines = [f"{key}:"]
    for each in fields(section):
        default = {} if each.default is MISSING else each.default
        lines += [_comment(each.metadata["doc"], indent="  "), f"  {each.name}: {json.dumps(default)}"]
    return "\n".join(lines) + "\n"


def _tables(guesses: list[Guess], count: int) -> str:
    usable = [guess for guess in guesses if guess.usable]
    told = f"Tables in the export: {count}. Understood: {len(usable)}."
    lines = [_comment(told), *(_not_understood(guess) for guess in guesses if not guess.usable)]
    if not usable:
        return "\n".join([*lines, "tables: []"]) + "\n"
    return "\n".join([*lines, "tables:", *(_entry(guess) for guess in usable)]) + "\n"


def _not_understood(guess: Guess) -> str:
    return _comment(f"A table that fits {json.dumps(guess.table.file)} was not understood: {'; '.join(guess.unknown)}.")


def _entry(guess: Guess) -> str:
    table = guess.table
    lines = [_comment(f"Not told by the table: {each}. Check it.", indent="  ") for each in guess.unknown]
    if guess.others:
        lines.append(_comment(f"{guess.others} further columns are not used.", indent="  "))
    lines += [f"  - file: {json.dumps(table.file, ensure_ascii=False)}", f"    kind: {table.kind}", "    columns:"]
    lines += [f"      {name}: {json.dumps(header, ensure_ascii=False)}" for name, header in table.columns.items()]
    lines += [f"    {name}: {value}" for name, value in _settings(table).items()]
    return "\n".join(lines)


def _settings(table: Table) -> Mapping[str, str]:
    """The settings beside file, kind and columns that are not as by default."""
    default = Table()
    names = ("date_format", "md_convention", "reliability_unit", "header_row")
    return {name: json.dumps(getattr(table, name)) for name in names if getattr(table, name) != getattr(default, name)}


def _comment(text: str, *, indent: str = "") -> str:
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, _WIDTH - len(indent))]
    return "\n".join(f"{indent}# {line}" for line in lines)
