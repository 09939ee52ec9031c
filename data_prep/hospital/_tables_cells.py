"""Cells of a table as values: numbers, days, shares and words, in the ways that people and programs write them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from data_prep.hospital._site_sections import Table

# Excel counts days from here; it takes 1900 for a leap year, hence not from 31 December 1899.
_EXCEL_DAY_ZERO = date(1899, 12, 30)
_OLDEST, _LATEST = date(1900, 1, 1), date(2199, 12, 31)
_MOST_YEARS = 130
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?|(\d{4})(\d{2})(\d{2})")
_RATIO = re.compile(r"(\d+)\s*/\s*(\d+)")

# What stands in tables, in lower case and without spaces and signs. R and L are unclear in no language here: in German
# L is links, in French G is gauche, in Spanish I is izquierdo.
_RIGHT = (
    "r re od right righteye dx dexter rechts ra rechtesauge d droit droite oeildroit œildroit "
    "derecho derecha ojoderecho"
)
_LEFT = (
    "l le os left lefteye sin sinister links la linkesauge g gauche oeilgauche œilgauche og "
    "izquierdo izquierda ojoizquierdo oi"
)
_FEMALE = "f female w weiblich frau woman femme féminin feminin mujer femenino"
_MALE = "m male männlich maennlich mann man homme masculin hombre masculino"
_OTHER = "o other d divers diverse autre otro"
_KNOWN: Mapping[str, Mapping[str, str]] = {
    "laterality": {
        **dict.fromkeys(_RIGHT.split(), "R"),
        **dict.fromkeys(_LEFT.split(), "L"),
    },
    "sex": {
        **dict.fromkeys(_FEMALE.split(), "F"),
        **dict.fromkeys(_MALE.split(), "M"),
        **dict.fromkeys(_OTHER.split(), "O"),
    },
    "pattern": {
        "242": "24-2", "central242": "24-2", "central242thresholdtest": "24-2", "242c": "24-2C",
        "central242cthresholdtest": "24-2C", "302": "30-2", "central302": "30-2", "central302thresholdtest": "30-2",
        "102": "10-2", "central102": "10-2", "central102thresholdtest": "10-2", "604": "60-4",
    },
    "strategy": {
        "sitastandard": "sita-standard", "ss": "sita-standard", "sitafast": "sita-fast", "sf": "sita-fast",
        "sitafaster": "sita-faster", "sitaswap": "sita-swap", "swap": "sita-swap", "fullthreshold": "full-threshold",
    },
    "kind": {"oct": "oct", "volume": "oct", "fundus": "fundus", "photo": "fundus", "cfp": "fundus",
             "colourfundus": "fundus"},
    "region": {
        "macula": "macula", "macular": "macula", "fovea": "macula", "makula": "macula", "mácula": "macula",
        "disc": "disc", "opticdisc": "disc", "onh": "disc", "papille": "disc", "papilla": "disc", "disco": "disc",
    },
    "scan_pattern": {"raster": "raster", "cube": "raster", "volume": "raster", "radial": "radial", "star": "radial",
                     "circle": "circle", "ring": "circle", "line": "line"},
}  # fmt: skip


class UnclearError(ValueError):
    """A cell is not what its column holds; the text is the reason code, never the cell."""


def read_word(cell: Any, name: str, table: Table) -> str | None:
    """One of our words for a column, by the site file's `values` first; None for an empty cell.

    Raises:
        UnclearError: the word is not known.
    """
    if name in table.constants:
        return table.constants[name]
    if cell is None:
        return None
    text = _plain_number(cell)
    translated = table.values.get(name, {}).get(text.casefold())
    if translated is None:
        key = "".join(sign for sign in text.casefold() if sign.isalnum())
        translated = _KNOWN[name].get(key)
    if translated is None:
        raise UnclearError(f"{name.replace('_', '-')}-unclear")  # noqa: EM102 - a code
    return translated


def read_number(cell: Any, name: str) -> float | None:
    """A number; decimal commas, real minus signs and a unit of dB or degrees are understood; None for an empty cell.

    Raises:
        UnclearError: it is none.
    """
    if cell is None:
        return None
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        value = float(cell)
    else:
        value = _number(re.sub(r"\s*(db|°|deg)$", "", str(cell).strip(), flags=re.IGNORECASE), name)
    if not math.isfinite(value):
        raise UnclearError(f"{name.replace('_', '-')}-unclear")  # noqa: EM102 - a code
    return value


def read_share(cell: Any, name: str, table: Table) -> float | None:
    """A share 0..1 from `12 %`, `1/14`, or a plain number in the table's unit; None for an empty cell.

    Raises:
        UnclearError: it is none, or not between 0 and 1.
    """
    if cell is None:
        return None
    text = str(cell).strip()
    ratio = _RATIO.fullmatch(text)
    if ratio:
        share = int(ratio[1]) / int(ratio[2]) if int(ratio[2]) else math.nan
    elif text.endswith("%"):
        share = _number(text[:-1].strip(), name) / 100
    else:
        share = (read_number(cell, name) or 0.0) / (100 if table.reliability_unit == "percent" else 1)
    if not 0 <= share <= 1:
        raise UnclearError(f"{name.replace('_', '-')}-unclear")  # noqa: EM102 - a code
    return share


def read_day(cell: Any, table: Table, *, name: str = "date") -> date | None:
    """A day between 1900 and 2199, as the table's `date_format` says; None for an empty cell.

    Raises:
        UnclearError: it is none, or can be read in two ways.
    """
    if cell is None:
        return None
    try:
        day = _day(cell, table.date_format)
    except (ValueError, OverflowError):
        day = None
    if day is None or not _OLDEST <= day <= _LATEST:
        reason = f"{name.replace('_', '-')}-unclear"
        raise UnclearError(reason)
    return day


def read_identifier(cell: Any, table: Table) -> str | None:
    """A patient's number as text, filled up with zeros as the table says; None for an empty cell.

    Raises:
        UnclearError: a fraction or a date, which no patient's number is.
    """
    if cell is None:
        return None
    if isinstance(cell, date | bool) or (isinstance(cell, float) and not cell.is_integer()):
        reason = "patient-unclear"
        raise UnclearError(reason)
    text = _plain_number(cell)
    return text.zfill(table.patient_digits) if table.patient_digits and text.isdigit() else text


def read_age(cell: Any) -> float | None:
    """Years, or None for an empty cell.

    Raises:
        UnclearError: it is no age.
    """
    age = read_number(cell, "age")
    if age is not None and not 0 <= age <= _MOST_YEARS:
        reason = "age-unclear"
        raise UnclearError(reason)
    return age


def _day(cell: Any, style: str | None) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    if style == "excel":
        number = float(str(cell).replace(",", "."))
        return _EXCEL_DAY_ZERO + timedelta(days=math.floor(number))
    text = _plain_number(cell)
    if style is not None:
        return datetime.strptime(text, style).date()
    found = _ISO.fullmatch(text)
    return date(*(int(part) for part in found.groups() if part)) if found else None


def _plain_number(cell: Any) -> str:
    """As text; a spreadsheet's 17.0 is 17."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _number(text: str, name: str) -> float:
    plain = text.replace("−", "-").replace("–", "-").replace("\u00a0", "").strip()
    if re.fullmatch(r"[-+]?\d+,\d+", plain):
        plain = plain.replace(",", ".")
    if not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", plain):
        raise UnclearError(f"{name.replace('_', '-')}-unclear")  # noqa: EM102 - a code
    return float(plain)
