"""Tables of releases and exports, Excel or CSV, as plain rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medmd.utils import MedmdError

SUFFIXES = (".xlsx", ".csv")
_DELIMITERS = ",;\t"

TableRow = tuple[Any, ...]


@contextmanager
def open_workbook(path: Path) -> Iterator[Any]:
    """An Excel workbook, values only, closed afterwards.

    Raises:
        MedmdError: the file is absent or is no readable workbook.
    """
    from zipfile import BadZipFile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (OSError, BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        msg = f"{path.name}: not a readable Excel workbook ({error}). Download the release again."
        raise MedmdError(msg) from error
    try:
        yield book
    finally:
        book.close()


def read_rows(path: Path) -> list[TableRow]:
    """The rows of a CSV file, or of the first sheet of an Excel workbook, those without any content left out.

    Cells of a CSV file are texts without surrounding space; an empty cell of either is None.

    Args:
        path: a `.csv` (UTF-8 with or without a mark, or Latin-1; comma, semicolon or tab) or `.xlsx` file.

    Raises:
        MedmdError: the file cannot be read.
    """
    rows = _excel_rows(path) if path.suffix.lower() == ".xlsx" else _csv_rows(path)
    cleaned = [tuple(_cell(value) for value in row) for row in rows]
    return [row for row in cleaned if any(value is not None for value in row)]


def _excel_rows(path: Path) -> list[TableRow]:
    with open_workbook(path) as book:
        return list(book.worksheets[0].iter_rows(values_only=True))


def _csv_rows(path: Path) -> list[TableRow]:
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path.name}: cannot be read ({error.strerror})."
        raise MedmdError(msg) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    lines = text.splitlines()
    delimiter = max(_DELIMITERS, key=lambda mark: lines[0].count(mark)) if lines else ","
    return [tuple(row) for row in csv.reader(lines, delimiter=delimiter)]


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip()
    return None if value == "" else value
