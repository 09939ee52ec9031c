"""The rows of a table as programs and people write them, each with its number in the file."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from data_prep._tables import open_workbook
from data_prep.hospital._site_sections import Table
from medmd.io import MAX_TEXT_BYTES
from medmd.utils import MedmdError

SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
_DELIMITERS = (";", "\t", ",", "|")
# An Excel workbook is a ZIP archive: what it says it unpacks to.
_MOST_UNPACKED = 8 * MAX_TEXT_BYTES
_MOST_COLUMNS = 10_000
# What people and programs write into a cell that they leave open.
_PLACEHOLDERS = frozenset({"", "-", "--", "–", "/", ".", "?", "n/a", "na", "#n/a", "nan", "none", "null", "k.a."})
_NO_WORKBOOK = "it is no readable Excel workbook"
_NO_TABLE = "it is no readable text table"

Cells = tuple[Any, ...]


def files_below(source: Path) -> Iterator[str]:
    """Every ordinary file below a folder as a relative POSIX path, in order; links are not followed."""
    for folder, names, files in os.walk(source):
        names.sort()
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(source).as_posix()


def table_files(table: Table, source: Path) -> list[Path]:
    """The table files below SRC that fit the pattern, in order; `*` and `?` stay within a folder, `**` does not."""
    pattern = _pattern(table.file.replace("\\", "/").removeprefix("./"))
    found = [name for name in files_below(source) if name.lower().endswith(SUFFIXES) and pattern.fullmatch(name)]
    # What Office and macOS leave beside a table.
    return [source / name for name in found if not name.rsplit("/", 1)[-1].startswith(("~$", "._"))]


def headers_of(path: Path, table: Table) -> list[str]:
    """The cells of the header row as texts, empty ones as empty texts.

    Raises:
        MedmdError: the table cannot be read or ends before.
    """
    for number, cells in _rows(path, table):
        if number >= table.header_row:
            return ["" if cell is None else re.sub(r"\s+", " ", str(cell)).strip() for cell in cells]
    msg = f"it has no row {table.header_row}"
    raise MedmdError(msg)


def records(path: Path, table: Table) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Number of each row after the headers, and our column name -> cell; rows without any content are left out.

    Raises:
        MedmdError: the table cannot be read or lacks a column.
    """
    headers = headers_of(path, table)
    places = {name: match_header(header, headers) for name, header in table.columns.items()}
    if any(place is None for place in places.values()):
        msg = f"a table that fits `{table.file}` has changed: a column of the site file is no longer there."
        raise MedmdError(msg)
    for number, cells in _rows(path, table):
        if number > table.header_row and any(cell is not None for cell in cells):
            found = {name: cells[place] for name, place in places.items() if place is not None and place < len(cells)}
            yield number, found


def match_header(wanted: str, headers: Sequence[str]) -> int | None:
    """Position of a column: by its exact header, else by letters and digits alone; None if not just one."""
    for key in (str.strip, plain):
        places = [place for place, header in enumerate(headers) if header and key(header) == key(wanted)]
        if len(places) == 1:
            return places[0]
    return None


def plain(header: str) -> str:
    """Letters and digits of a header in lower case."""
    return "".join(sign for sign in header.casefold() if sign.isalnum())


def header_like(headers: Iterable[str]) -> bool:
    """Whether a row may be headers: no number, no date, no long digits, and more than one text."""
    texts = [header for header in headers if header]
    data = re.compile(r"[-+−]?[\d.,/: %-]+|.*\d{4,}.*", flags=re.DOTALL)
    return len(texts) > 1 and not any(data.fullmatch(text) for text in texts)


def _rows(path: Path, table: Table) -> Iterator[tuple[int, Cells]]:
    rows = _excel_rows(path, table.sheet) if path.suffix.lower() == ".xlsx" else _text_rows(path)
    for number, cells in rows:
        if len(cells) > _MOST_COLUMNS:
            msg = f"it has a row of more than {_MOST_COLUMNS} cells"
            raise MedmdError(msg)
        yield number, tuple(_cell(cell) for cell in cells)


def _excel_rows(path: Path, sheet: str | None) -> Iterator[tuple[int, Cells]]:
    _check_unpacked(path)
    try:
        with open_workbook(path) as book:
            chosen = book.worksheets[0] if sheet is None else _sheet(book, sheet)
            # Read whole before anything is yielded: the workbook closes with this block, and its size is bounded.
            yield from enumerate(chosen.iter_rows(values_only=True), start=1)
    except MedmdError as error:
        raise (error if _own(error) else MedmdError(_NO_WORKBOOK)) from None
    except Exception as error:  # noqa: BLE001 - openpyxl raises whatever it stumbles over, with cells in the text
        msg = f"{_NO_WORKBOOK} ({type(error).__name__})"
        raise MedmdError(msg) from None


def _sheet(book: Any, name: str) -> Any:
    for sheet in book.worksheets:
        if sheet.title.strip().casefold() == name.strip().casefold():
            return sheet
    msg = f"it has no sheet named `{name}`, and {len(book.worksheets)} others"
    raise MedmdError(msg)


def _check_unpacked(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        raise MedmdError(_NO_WORKBOOK) from None
    if total > _MOST_UNPACKED:
        msg = f"it unpacks to more than {_MOST_UNPACKED} bytes"
        raise MedmdError(msg)


def _text_rows(path: Path) -> Iterator[tuple[int, Cells]]:
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            msg = f"it is larger than {MAX_TEXT_BYTES} bytes"
            raise MedmdError(msg)
        text = _decode(path.read_bytes())
    except OSError as error:
        msg = f"it cannot be read ({error.strerror})"
        raise MedmdError(msg) from None
    if "\0" in text:
        raise MedmdError(_NO_TABLE)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    number = 0
    try:
        for cells in reader:
            number += 1
            yield number, tuple(cells)
    except csv.Error:
        raise MedmdError(_NO_TABLE) from None


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        # What Excel calls Unicode text.
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Bytes 80 to 9F are letters and dashes in Windows' variant of Latin-1 and nothing in the other.
        return data.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    """The sign that splits the first lines into most cells, the same number in each; quoted parts do not count."""
    lines = [re.sub(r'"[^"]*"', "", line) for line in text.splitlines()[:20] if line.strip()]
    counts = {mark: [line.count(mark) for line in lines] for mark in _DELIMITERS}
    steady = [mark for mark, found in counts.items() if found and min(found) > 0 and min(found) == max(found)]
    return max(steady or _DELIMITERS, key=lambda mark: sum(counts[mark]))


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip().removeprefix("'")
    empty = isinstance(value, str) and value.casefold() in _PLACEHOLDERS
    return None if empty or (isinstance(value, float) and math.isnan(value)) else value


def _pattern(glob: str) -> re.Pattern[str]:
    return _compiled(glob)


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    parts = []
    for part in glob.split("/"):
        if part == "**":
            parts.append("(?:[^/]+/)*")
        else:
            parts.append("".join(_sign(sign) for sign in part) + "/")
    return re.compile("".join(parts).removesuffix("/"), flags=re.IGNORECASE)


def _sign(sign: str) -> str:
    return {"*": "[^/]*", "?": "[^/]"}.get(sign) or re.escape(sign)


def _own(error: MedmdError) -> bool:
    return str(error).startswith("it ")
