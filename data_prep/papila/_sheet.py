"""The two clinical sheets: a header of two rows and one that holds only `ID`, then a row a patient.

Which header row names a column differs from reader to reader of the release: the lowest name counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep._tables import TableRow, read_rows
from medmd.utils import MedmdError, regular_file

MD_RANGE = (-40.0, 6.0)
OLDEST = 90.0
_MOST_BYTES = 2**24
_ID = re.compile(r"#?\s*(\d{1,6})(?:\.0+)?")
_NEEDED = ("age", "gender", "diagnosis", "vfmd")
_NOTHING = {"", "-", "--", "/", "na", "n/a", "nan", "none", "nd"}
_SEXES = {0: "M", 1: "F"}
_DIAGNOSES = {0: "healthy", 1: "glaucoma", 2: "suspect"}
# Column -> what it can be: mmHg, micrometres, millimetres, years.
_RANGES = {"pneumatic": (1, 80), "pachymetry": (300, 800), "axiallength": (15, 40), "age": (0, 130)}


@dataclass(frozen=True, kw_only=True)
class Record:
    """One eye as its sheet tells of it; None where it says nothing that can be read.

    Args:
        patient: the release's number.
        laterality: `R` or `L`.
        md: `VF_MD` in dB.
        fault: why there is no MD that can be used.
        age: years, at most 90.
        sex: `F` or `M`.
        diagnosis: `healthy`, `glaucoma` or `suspect`.
        iop: pressure by the pneumatic tonometer, mmHg.
        pachymetry: central corneal thickness, micrometres.
        axial_length: of the eye, mm.
    """

    patient: int
    laterality: str
    md: float | None = None
    fault: str | None = None
    age: float | None = None
    sex: str | None = None
    diagnosis: str | None = None
    iop: float | None = None
    pachymetry: float | None = None
    axial_length: float | None = None


@dataclass
class Sheet:
    """Records by patient.

    Args:
        records: number -> record; of a patient with two rows the first.
        twice: numbers with two rows.
        unnamed: how many rows have no number.
        not_understood: column -> how many cells hold what it cannot be.
    """

    records: dict[int, Record] = field(default_factory=dict)
    twice: set[int] = field(default_factory=set)
    unnamed: int = 0
    not_understood: dict[str, int] = field(default_factory=dict)


def read_sheet(path: Path, *, laterality: str) -> Sheet:
    """Read `patient_data_od.xlsx` (`R`) or `patient_data_os.xlsx` (`L`).

    Raises:
        MedmdError: the file is no workbook, or its columns are not those of the release.
    """
    regular_file(path.resolve(), role="a clinical sheet of PAPILA", most_bytes=_MOST_BYTES)
    rows = read_rows(path)
    first = next((place for place, row in enumerate(rows) if patient_number(row[0]) is not None), len(rows))
    columns = _columns(rows[:first])
    missing = [name for name in _NEEDED if name not in columns]
    if missing or first == len(rows):
        msg = (
            f"{path.name}: expected the sheet as PAPILA has it, with Age, Gender, Diagnosis and VF_MD in the header "
            f"and a row for each patient (#002 …); {'no row is there' if not missing else 'columns are missing'}."
        )
        raise MedmdError(msg)
    sheet = Sheet()
    for row in rows[first:]:
        number = patient_number(row[0])
        if number is None:
            sheet.unnamed += 1
        elif number in sheet.records:
            sheet.twice.add(number)
        else:
            cells = {name: row[place] if place < len(row) else None for name, place in columns.items()}
            sheet.records[number] = _record(number, laterality, cells, sheet)
    return sheet


def patient_number(value: Any) -> int | None:
    """`#002`, `002`, 2 or 2.0 as 2; else None."""
    match = _ID.fullmatch(str(value).strip())
    return int(match[1]) if match else None


def as_number(value: Any) -> float | None:
    """A cell as a finite number, also a text with a typographic minus or a decimal comma; else None."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(str(value).strip().replace("\N{MINUS SIGN}", "-").replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _columns(header: list[TableRow]) -> dict[str, int]:
    names: dict[int, str] = {}
    for row in header:
        names |= {
            place: re.sub(r"[^a-z0-9]", "", str(cell).lower()) for place, cell in enumerate(row) if cell is not None
        }
    return {name: place for place, name in names.items() if place > 0}


def _record(number: int, laterality: str, cells: Mapping[str, Any], sheet: Sheet) -> Record:
    md, fault = _mean_deviation(cells["vfmd"])
    values = {name: _within(name, cells.get(name), sheet) for name in _RANGES}
    age = values["age"]
    return Record(
        patient=number,
        laterality=laterality,
        md=md,
        fault=fault,
        age=None if age is None else min(age, OLDEST),
        sex=_coded("gender", cells["gender"], _SEXES, sheet),
        diagnosis=_coded("diagnosis", cells["diagnosis"], _DIAGNOSES, sheet),
        iop=values["pneumatic"],
        pachymetry=values["pachymetry"],
        axial_length=values["axiallength"],
    )


def _mean_deviation(cell: Any) -> tuple[float | None, str | None]:
    if _is_nothing(cell):
        return None, "no_visual_field"
    number = as_number(cell)
    if number is None:
        return None, "label_unreadable"
    low, high = MD_RANGE
    return (number, None) if low <= number <= high else (None, "label_out_of_range")


def _is_nothing(cell: Any) -> bool:
    return cell is None or str(cell).strip().lower() in _NOTHING


def _within(name: str, cell: Any, sheet: Sheet) -> float | None:
    if _is_nothing(cell):
        return None
    number, (low, high) = as_number(cell), _RANGES[name]
    if number is None or not low <= number <= high:
        _note(name, sheet)
        return None
    return number


def _coded(name: str, cell: Any, codes: Mapping[int, str], sheet: Sheet) -> str | None:
    if _is_nothing(cell):
        return None
    number = as_number(cell)
    found = codes.get(int(number)) if number is not None and number == int(number) else None
    if found is None:
        _note(name, sheet)
    return found


def _note(name: str, sheet: Sheet) -> None:
    sheet.not_understood[name] = sheet.not_understood.get(name, 0) + 1
