"""One sheet of the GRAPE workbook: two header rows with merged groups, read by the names that stand in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from medmd.utils import MedmdError

# The release writes a slash where there is nothing.
_NOTHING = {"", "/"}
_HEADER_ROWS = 2


@dataclass(frozen=True)
class Sheet:
    """Columns by (group, name) and the rows below the header, with their numbers as Excel shows them."""

    title: str
    columns: dict[tuple[str, str], int]
    rows: list[tuple[int, tuple[Any, ...]]]

    def require(self, names: Sequence[tuple[str, str]]) -> None:
        """Check that every column is there.

        Raises:
            MedmdError: the layout is not the release's; the text lists what is missing and what was found.
        """
        missing = [_label(name) for name in names if _key(*name) not in self.columns]
        if missing:
            found = ", ".join(_label(name) for name in self.columns)
            msg = (
                f"Sheet {self.title!r}: the layout is not that of the GRAPE release. Missing columns: "
                f"{', '.join(missing)}. Found: {found}. Use the workbook as its authors publish it."
            )
            raise MedmdError(msg)

    def records(self) -> Iterator[Row]:
        """The rows that hold anything."""
        for number, values in self.rows:
            if any(_content(value) is not None for value in values):
                yield Row(self, number, values)


@dataclass(frozen=True)
class Row:
    """One row; cells are asked for by column name."""

    sheet: Sheet
    number: int
    values: tuple[Any, ...]

    @property
    def place(self) -> str:
        """Where the row stands, for a message."""
        return f"sheet {self.sheet.title!r}, row {self.number}"

    def text(self, group: str, name: str = "") -> str | None:
        """A cell as text; None when it is empty or a slash."""
        content = self._cell(group, name)
        return None if content is None else str(content)

    def number_or_none(self, group: str, name: str = "") -> float | None:
        """A cell as a number; None when it is empty or a slash.

        Raises:
            MedmdError: the cell holds anything else.
        """
        content = self._cell(group, name)
        if content is None:
            return None
        try:
            value = float(content)
        except (TypeError, ValueError):
            value = math.nan
        if isinstance(content, bool) or not math.isfinite(value):
            msg = f"{self.place}, column {_label((group, name))}: expected a number or '/', got {content!r}."
            raise MedmdError(msg)
        return value

    def whole(self, group: str, name: str = "") -> int:
        """A cell that must hold a whole number.

        Raises:
            MedmdError: it does not.
        """
        value = self.number_or_none(group, name)
        if value is None or value != int(value):
            got = self._cell(group, name)
            msg = f"{self.place}, column {_label((group, name))}: expected a whole number, got {got!r}."
            raise MedmdError(msg)
        return int(value)

    def _cell(self, group: str, name: str) -> Any:
        index = self.sheet.columns[_key(group, name)]
        return _content(self.values[index]) if index < len(self.values) else None


def read_sheet(title: str, rows: Iterator[tuple[Any, ...]]) -> Sheet:
    """Take the two header rows off and name the columns.

    A merged group carries its text in its first column only; the columns that follow belong to it as long as they have
    a name of their own in the second row.

    Args:
        title: the sheet's title.
        rows: the sheet's rows, cell values only.

    Raises:
        MedmdError: the sheet is shorter than its header, or names a column twice.
    """
    table = list(rows)
    if len(table) < _HEADER_ROWS:
        msg = f"Sheet {title!r}: expected two header rows and data below them, got {len(table)} rows."
        raise MedmdError(msg)
    columns: dict[tuple[str, str], int] = {}
    for index, key in _named_columns(table[0], table[1]):
        if key in columns:
            msg = f"Sheet {title!r}: two columns are called {_label(key)}. Expected the release's layout."
            raise MedmdError(msg)
        columns[key] = index
    numbered = list(enumerate(table[_HEADER_ROWS:], start=_HEADER_ROWS + 1))
    return Sheet(title=title, columns=columns, rows=numbered)


def _named_columns(top: tuple[Any, ...], bottom: tuple[Any, ...]) -> Iterator[tuple[int, tuple[str, str]]]:
    group = ""
    for index in range(max(len(top), len(bottom))):
        above = _content(top[index]) if index < len(top) else None
        below = _content(bottom[index]) if index < len(bottom) else None
        if above is not None:
            group = str(above)
        if above is not None or (below is not None and group):
            yield index, _key(group, "" if below is None else str(below))


def _content(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip()
        return None if value in _NOTHING else value
    return value


def _key(group: str, name: str) -> tuple[str, str]:
    return " ".join(group.split()).casefold(), name.strip().casefold()


def _label(name: tuple[str, str]) -> str:
    group, column = name
    return f"{group!r} > {column!r}" if column else repr(group)
