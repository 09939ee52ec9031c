"""The numbers beside the images: MD, age, sex, and the groups that reports count."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_prep._harvard._release import Release

MD_RANGE = (-40.0, 6.0)
OLDEST = 90.0
_ETHNICITIES = {"0": "non-hispanic", "1": "hispanic", "non-hispanic": "non-hispanic", "hispanic": "hispanic"}
_SEXES = {"0": "F", "1": "M", "female": "F", "male": "M"}
_TOLERANCE_DB = 0.01
UNKNOWN = "unknown"
# Nothing else is read: pid and datadir, which some exports of the lab hold, would name the patient and the day.
ARRAYS = ("md", "age", "male", "race", "ethnicity", "hispanic", "glaucoma")


@dataclass(frozen=True, kw_only=True)
class Person:
    """What is known of a patient; None where nothing can be read.

    Args:
        md: dB.
        fault: why `md` cannot be used.
        age: years, at most 90.
        sex: `F`, `M`.
        race: the release's word, or `code 3` where it explains none; `unknown`.
        ethnicity: `hispanic`, `non-hispanic`, `unknown`.
        glaucoma: 0 or 1; the lab derives it from the visual field.
    """

    md: float | None = None
    fault: str | None = None
    age: float | None = None
    sex: str | None = None
    race: str = UNKNOWN
    ethnicity: str = UNKNOWN
    glaucoma: int | None = None


def read_person(arrays: Mapping[str, Any], row: Mapping[str, Any], release: Release) -> Person:
    """What the sample says, and where it says nothing, the summary table.

    Args:
        arrays: the sample's small arrays by name.
        row: the summary's cells by column, empty without a table.
        release: explains the codes of `race`.
    """
    md, other = number(arrays.get("md")), number(row.get("md"))
    glaucoma = number(arrays.get("glaucoma"))
    ethnicity = word(_first(arrays.get("ethnicity"), arrays.get("hispanic"), row.get("ethnicity")))
    return Person(
        md=md if md is not None else other,
        fault=_fault(md, other),
        age=_age(number(_first(arrays.get("age"), row.get("age")))),
        sex=_SEXES.get(word(_first(arrays.get("male"), row.get("gender")))),
        race=_race(word(_first(arrays.get("race"), row.get("race"))), release),
        ethnicity=_ETHNICITIES.get(ethnicity, UNKNOWN),
        glaucoma=int(glaucoma) if glaucoma in (0.0, 1.0) else None,
    )


def number(value: Any) -> float | None:
    """One finite number from an array of one value, a cell or a text; else None."""
    try:
        found = float(_item(value))
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def word(value: Any) -> str:
    """A text, or a whole number as text, in small letters; empty when there is none."""
    found = number(value)
    if found is not None and found == int(found):
        return str(int(found))
    item = _item(value)
    return item.strip().lower() if isinstance(item, str) else ""


def _item(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item() if value.size == 1 else None
    return value


def _first(*values: Any) -> Any:
    """The first that says anything."""
    return next((value for value in values if word(value) or number(value) is not None), None)


def _fault(md: float | None, other: float | None) -> str | None:
    if md is None and other is None:
        return "label_missing"
    if md is not None and other is not None and abs(md - other) > _TOLERANCE_DB:
        return "label_contradictory"
    known = md if md is not None else other
    low, high = MD_RANGE
    return None if known is not None and low <= known <= high else "label_out_of_range"


def _age(age: float | None) -> float | None:
    if age is None or not 0 <= age <= 130:
        return None
    return min(round(age, 2), OLDEST)


def _race(code: str, release: Release) -> str:
    words = set(release.races.values())
    if code in release.races:
        return release.races[code]
    if code in words:
        return code
    # Without the release's explanation only small codes pass: a text of the file never reaches a report.
    return f"code {code}" if code.isdecimal() and len(code) < 3 else UNKNOWN
