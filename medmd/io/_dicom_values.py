"""Named values out of a DICOM dataset: a damaged or unexpected one counts as absent, and none is ever printed."""

from __future__ import annotations

import math
from datetime import date
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

from medmd.io._binary import day

_BAD = (ArithmeticError, AttributeError, LookupError, NotImplementedError, OSError, TypeError, ValueError)


class Code(NamedTuple):
    """An item of a code sequence: the value, and the meaning in lower case. For comparing with fixed lists only."""

    value: str
    meaning: str


def value(dataset: Dataset, keyword: str) -> Any:
    """The value as pydicom converts it, or None."""
    try:
        return dataset.get(keyword)
    except _BAD:
        return None


def text(dataset: Dataset, keyword: str) -> str | None:
    """One string without padding, or None when it is empty or several."""
    found = value(dataset, keyword)
    if found is None or not isinstance(found, str):
        return None
    return found.strip(" \0") or None


def words(dataset: Dataset, keyword: str) -> list[str]:
    """All strings of an element, in upper case."""
    found = value(dataset, keyword)
    if found is None:
        return []
    return [str(part).strip(" \0").upper() for part in ([found] if isinstance(found, str) else _listed(found))]


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All numbers of an element; empty when one of them is none, or is not finite."""
    try:
        found = [float(part) for part in _listed(value(dataset, keyword))]
    except _BAD:
        return []
    return found if all(map(math.isfinite, found)) else []


def number(dataset: Dataset, keyword: str) -> float | None:
    """The only number of an element, or None."""
    found = numbers(dataset, keyword)
    return found[0] if len(found) == 1 else None


def integer(dataset: Dataset, keyword: str) -> int | None:
    """The only whole number of an element, or None."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(dataset: Dataset | None, keyword: str) -> list[Dataset]:
    """The items of a sequence; none when it is absent."""
    found = None if dataset is None else value(dataset, keyword)
    try:
        return [one for one in (found or ()) if isinstance(one, Dataset)]
    except TypeError:
        return []


def first(dataset: Dataset | None, *keywords: str) -> Dataset | None:
    """The first item of a sequence within the first item of a sequence, and so on."""
    for keyword in keywords:
        dataset = next(iter(items(dataset, keyword)), None)
    return dataset


def codes(dataset: Dataset | None, keyword: str) -> list[Code]:
    """The items of a code sequence."""
    return [
        Code(text(one, "CodeValue") or "", (text(one, "CodeMeaning") or "").lower()) for one in items(dataset, keyword)
    ]


def date_of(dataset: Dataset, *keywords: str) -> date | None:
    """The first of these dates, or dates with times, that is one."""
    for keyword in keywords:
        digits = str(value(dataset, keyword) or "")[:8]
        if digits.isascii() and digits.isdigit() and len(digits) == 8:
            found = day(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
            if found is not None:
                return found
    return None


def _listed(found: Any) -> list[Any]:
    if found is None:
        return []
    return list(found) if hasattr(found, "__iter__") and not isinstance(found, str | bytes) else [found]
