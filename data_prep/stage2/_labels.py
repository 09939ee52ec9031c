"""The release's tables: MD or grade, and sex, age, eye and stage. Columns by name, by position where no name fits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from data_prep._tables import TableRow, read_rows
from data_prep.stage2._tree import File
from medmd.utils import MedmdError

STAGES = ("normal", "early", "intermediate", "advanced")
GRADES = ("non", "early", "mid_advanced")
# The challenge's own spelling first; of "gender", "age" and "eye" only the order of columns is documented.
_NAMES = {
    "id": ("id", "data", "img", "imgid", "image", "imageid", "case", "caseid", "no", "number"),
    "md": ("md", "meandeviation", "mddb", "task1md"),
    "sex": ("gender", "sex"),
    "age": ("age", "ageyears"),
    "eye": ("eye", "laterality", "odos", "eyes"),
    "stage": ("glaucomastage", "stage"),
    **{grade: (grade.replace("_", ""),) for grade in GRADES},
}
_SEXES = {"male": "M", "m": "M", "female": "F", "f": "F"}
_EYES = {"od": "R", "r": "R", "right": "R", "os": "L", "l": "L", "left": "L"}
_ID = re.compile(r"(\d+)(?:\.0+|\.jpe?g|\.png)?", re.IGNORECASE)
_OLDEST = 130


@dataclass(frozen=True, kw_only=True)
class Person:
    """What the info table says of an eye; None where it says nothing that can be read."""

    laterality: str | None = None
    sex: str | None = None
    age: float | None = None
    stage: str | None = None


@dataclass
class Table:
    """A table by eye.

    Args:
        rows: number of the eye -> its value.
        faults: number of the eye -> reason why its value cannot be used.
        unnamed: places of rows without a readable number.
        columns: field -> which column was taken and why, for the report.
        unknown: field -> contents that could not be read, with how often they occur.
    """

    rows: dict[int, Any] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, dict[str, int]] = field(default_factory=dict)

    def note_unknown(self, name: str, value: Any) -> None:
        """Count a content that could not be read."""
        counts = self.unknown.setdefault(name, {})
        counts[str(value)] = counts.get(str(value), 0) + 1


def read_md(file: File, *, limits: tuple[float, float]) -> Table:
    """MD in dB by eye.

    Args:
        file: `task1_GT_…`, Excel (2023) or CSV (2024).
        limits: smallest and largest MD that can be true, in dB.

    Raises:
        MedmdError: the table cannot be read, or has no column that can be MD.
    """
    table, rows = _open(file, ("id", "md"))
    for number, cells in rows:
        value = as_number(cells["md"])
        fault = "label_missing" if value is None else None
        if value is not None and not limits[0] <= value <= limits[1]:
            fault = "label_out_of_range"
        _put(table, number, value, fault)
    return table


def read_grades(file: File) -> Table:
    """GAMMA's grade by eye, 0 none, 1 early, 2 middle or advanced, from one-hot columns.

    Raises:
        MedmdError: the table cannot be read, or its columns are others.
    """
    table, rows = _open(file, ("id", *GRADES))
    for number, cells in rows:
        marks = [as_number(cells[grade]) for grade in GRADES]
        valid = sorted(mark for mark in marks if mark is not None) == [0, 0, 1]
        _put(table, number, marks.index(1.0) if valid else None, None if valid else "label_missing")
    return table


def read_info(file: File) -> Table:
    """A `Person` by eye.

    Raises:
        MedmdError: the table cannot be read.
    """
    table, rows = _open(file, ("id", "sex", "age", "eye", "stage"), needed=("id",))
    for number, cells in rows:
        person = Person(
            laterality=_coded(table, "eye", cells["eye"], _EYES),
            sex=_coded(table, "sex", cells["sex"], _SEXES),
            age=_age(table, cells["age"]),
            stage=_coded(table, "stage", cells["stage"], {name: name for name in STAGES}),
        )
        _put(table, number, person, None)
        if number in table.faults:
            # Which of two eyes it tells of cannot be known; the images and the label are not in doubt.
            table.note_unknown("id", f"{number:04d} twice")
            table.rows[number] = replace(person, laterality=None, sex=None, age=None, stage=None)
    return table


def as_number(value: Any) -> float | None:
    """A cell as a finite number: also a text, with a typographic minus or a decimal comma; else None."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(str(value).strip().replace("\N{MINUS SIGN}", "-").replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def eye_number(value: Any) -> int | None:
    """The number of an eye from a cell: 1, 1.0, `0001` or `0001.jpg`; else None."""
    match = _ID.fullmatch(str(value).strip())
    return int(match[1]) if match else None


def _open(
    file: File, fields: Sequence[str], *, needed: Sequence[str] | None = None
) -> tuple[Table, list[tuple[int, dict[str, Any]]]]:
    """The table, still empty, and its rows with a readable number as field -> cell."""
    rows = read_rows(file.path)
    has_header = bool(rows) and eye_number(rows[0][0]) is None
    places, how = find_columns(rows[0] if has_header else (), fields, width=max(map(len, rows), default=0))
    missing = [name for name in needed or fields if name not in places]
    if missing:
        found = ", ".join(str(cell) for cell in rows[0]) if rows else "an empty table"
        msg = f"{file.name}: expected columns for {', '.join(missing)}, got {found}. Use the table as it is released."
        raise MedmdError(msg)
    table = Table(columns=how)
    kept = []
    for place, row in enumerate(rows[1:] if has_header else rows, start=2 if has_header else 1):
        cells = {name: _at(row, places.get(name)) for name in fields}
        number = eye_number(cells["id"])
        if number is None:
            table.unnamed.append(f"{file.name}, row {place}")
        else:
            kept.append((number, cells))
    return table, kept


def find_columns(header: TableRow, fields: Sequence[str], *, width: int) -> tuple[dict[str, int], dict[str, str]]:
    """Which column holds which field.

    Args:
        header: the names of the columns, empty when the table has none.
        fields: in the documented order of columns, which serves those whose name is not found.
        width: number of columns.

    Returns:
        Field -> column from 0; field -> the same in words.
    """
    names = [_plain(cell) for cell in header]
    places = {name: place for name in fields if (place := _named(names, _NAMES[name])) is not None}
    how = {name: f"column {place + 1} by its name {header[place]!r}" for name, place in places.items()}
    for place, name in enumerate(fields):
        taken = place in places.values() or (place < len(names) and _means_another(names[place], name))
        if name not in places and place < width and not taken:
            places[name] = place
            what = f", called {header[place]!r}" if place < len(header) else ""
            how[name] = f"column {place + 1} by its position{what}"
    return places, how


def _plain(cell: Any) -> str:
    return re.sub(r"[^a-z0-9]", "", str(cell or "").lower())


def _named(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _means_another(name: str, field_name: str) -> bool:
    return any(name in known for other, known in _NAMES.items() if other != field_name)


def _at(row: TableRow, place: int | None) -> Any:
    return row[place] if place is not None and place < len(row) else None


def _put(table: Table, number: int, value: Any, fault: str | None) -> None:
    if number in table.rows and table.rows[number] != value:
        fault = "label_contradictory"
    table.rows[number] = value
    # A contradiction stays one, whatever a third row says.
    if fault and table.faults.get(number) != "label_contradictory":
        table.faults[number] = fault


def _coded(table: Table, name: str, value: Any, codes: Mapping[str, str]) -> str | None:
    found = codes.get(str(value).strip().lower())
    if found is None and value is not None:
        table.note_unknown(name, value)
    return found


def _age(table: Table, value: Any) -> float | None:
    number = as_number(value)
    if number is not None and 0 <= number <= _OLDEST:
        return number
    if value is not None:
        table.note_unknown("age", value)
    return None
