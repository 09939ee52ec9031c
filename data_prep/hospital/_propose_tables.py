"""A guess at what a table of an export holds; of its cells only conclusions leave this module, never a cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.hospital._propose_names import guess_columns
from data_prep.hospital._site_sections import FIELD_COLUMNS, IMAGE_COLUMNS, NEEDED_COLUMNS, SHARES, Table
from data_prep.hospital._tables_cells import UnclearError, read_number, read_word
from data_prep.hospital._tables_rows import header_like, headers_of, match_header, records, table_files
from medmd.utils import MedmdError

_DATE_FORMATS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%d.%m.%y", "%d/%m/%y",
    "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
)  # fmt: skip
_ROWS_LOOKED_AT = 200
_FIRST_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a table seems to be.

    Args:
        table: settings for the site file; its `file` is a pattern that fits tables of the same name in any folder.
        unknown: what could not be told, in words of the program.
        others: number of columns that are not used.
    """

    table: Table
    unknown: tuple[str, ...] = ()
    others: int = 0

    @property
    def usable(self) -> bool:
        """Whether every column that is needed was found."""
        return bool(self.table.kind)


def guess_table(path: Path, source: Path) -> Guess | None:
    """Look at a table.

    Returns:
        The guess, or None when it cannot be read or has no row like headers.
    """
    pattern = pattern_of(path.relative_to(source).as_posix())
    for row in range(1, _FIRST_ROWS + 1):
        table = Table(file=pattern, header_row=row)
        try:
            headers = headers_of(path, table)
        except MedmdError:
            return None
        columns = guess_columns(headers)
        if header_like(headers) and len(columns) > 1:
            return _guess(path, replace(table, columns=columns), sum(map(bool, headers)))
    return None


def fits_all(guess: Guess, source: Path) -> Guess:
    """The guess when every table that fits its pattern has its columns, else one that is not usable."""
    for path in table_files(guess.table, source):
        try:
            headers = headers_of(path, guess.table)
        except MedmdError:
            headers = []
        if any(match_header(header, headers) is None for header in guess.table.columns.values()):
            unknown = ("tables of this name have different headers; name them one by one",)
            return replace(guess, table=replace(guess.table, kind=""), unknown=unknown)
    return guess


def pattern_of(place: str) -> str:
    """A pattern for a table without the folders it lies in and without long numbers of its name."""
    folders, _, name = place.rpartition("/")
    general = re.sub(r"\d{3,}", "*", name)
    return f"**/{general}" if folders else general


def _guess(path: Path, table: Table, headers: int) -> Guess:
    columns = dict(table.columns)
    kind = next((kind for kind, needed in NEEDED_COLUMNS.items() if set(needed) <= set(columns)), "")
    if not kind:
        return Guess(table=table, unknown=tuple(_lacking(columns)), others=headers - len(columns))
    known = FIELD_COLUMNS if kind == "visual_fields" else IMAGE_COLUMNS
    table = replace(table, kind=kind, columns={name: header for name, header in columns.items() if name in known})
    try:
        cells = [row for _, row in islice(records(path, table), _ROWS_LOOKED_AT)]
    except MedmdError:
        return Guess(table=table, unknown=("the rows could not be read",))
    unknown: list[str] = []
    table = replace(
        table,
        date_format=_date_format([row.get("date") for row in cells], unknown),
        md_convention=_convention([row.get("md") for row in cells]) if kind == "visual_fields" else None,
        reliability_unit=_unit(cells, table, unknown),
    )
    unknown += _unclear_words(cells, table)
    if kind == "visual_fields" and "pattern" not in table.columns:
        unknown.append("the test pattern; write `constants: {pattern: 24-2}` below if all are 24-2")
    return Guess(table=table, unknown=tuple(unknown), others=headers - len(table.columns))


def _lacking(columns: Mapping[str, str]) -> Iterable[str]:
    for kind, needed in NEEDED_COLUMNS.items():
        yield f"for {kind} no column was found for {', '.join(name for name in needed if name not in columns)}"


def _date_format(cells: Sequence[Any], unknown: list[str]) -> str | None:
    texts = {str(cell) for cell in cells if cell is not None and not isinstance(cell, date)}
    if not texts or all(re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{8}", text) for text in texts):
        return None
    fitting = [style for style in _DATE_FORMATS if all(_parses(text, style) for text in texts)]
    if len(fitting) != 1:
        several = f"{' and '.join(fitting)} both fit" if fitting else "none that is known fits"
        unknown.append(f"`date_format`: {several}")
    return fitting[0] if fitting else None


def _parses(text: str, style: str) -> bool:
    try:
        datetime.strptime(text, style)
    except ValueError:
        return False
    return True


def _convention(cells: Sequence[Any]) -> str:
    """`octopus` when most values are positive and one is above what a Humphrey gives."""
    values = sorted(value for value in (_number(cell) for cell in cells) if value is not None)
    return "octopus" if values and values[len(values) // 2] > 0 and values[-1] > 6 else "hfa"


def _number(cell: Any) -> float | None:
    try:
        return read_number(cell, "md")
    except UnclearError:
        return None


def _unit(cells: Sequence[Mapping[str, Any]], table: Table, unknown: list[str]) -> str | None:
    names = [name for name in SHARES if name in table.columns]
    if not names:
        return None
    values = [value for row in cells for name in names if (value := _number(row.get(name))) is not None]
    if any(value > 1 for value in values):
        return "percent"
    if any(0 < value < 1 for value in values):
        return "fraction"
    unknown.append("`reliability_unit`: no number tells per cent from fractions")
    return "percent"


def _unclear_words(cells: Sequence[Mapping[str, Any]], table: Table) -> Iterable[str]:
    for name in ("laterality", "sex", "pattern", "strategy", "kind", "region", "scan_pattern"):
        if name in table.columns:
            unclear = sum(not _known(row.get(name), name, table) for row in cells)
            if unclear:
                yield f"`values` of `{name}`: {unclear} of {len(cells)} cells looked at hold no known word"


def _known(cell: Any, name: str, table: Table) -> bool:
    try:
        read_word(cell, name, table)
    except UnclearError:
        return False
    return True
