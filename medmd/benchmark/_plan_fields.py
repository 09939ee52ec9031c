"""The checks of a plan's values: each gives the value to use, or says what it expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]*")
_ROW = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+*-]*")
_COLUMN = re.compile(r"fusion\w*|late_average|(unimodal|pretrain|reference)_[\w*]+")

Check = Callable[[Any], Any]


class WrongValueError(ValueError):
    """A value of a plan that cannot be used; the text says what was expected."""


def name(value: Any) -> str:
    """A name that can be a folder's."""
    return _matching(value, _NAME, "a name of letters, digits and _ . + -")


def row(value: Any) -> str:
    """A name of a row, in which `*` may stand."""
    return _matching(value, _ROW, "a name of letters, digits and _ . + - *")


def column(value: Any) -> str:
    """A column of the table of predictions."""
    expected = "a column such as fusion, late_average, unimodal_oct, pretrain_oct, pretrain_* or reference_information"
    return _matching(value, _COLUMN, expected)


def columns(value: Any) -> tuple[str, ...]:
    """A list of such columns."""
    return tuple(column(each) for each in texts(value))


def text(value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise WrongValueError(_got("a text", value))
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise WrongValueError(_got("true or false", value))
    return value


def one_of(*known: str) -> Check:
    """One of a few texts."""

    def check(value: Any) -> str:
        if value not in known:
            raise WrongValueError(_got(f"one of {', '.join(known)}", value))
        return str(value)

    return check


def whole(low: int, high: int = 10**9) -> Check:
    """A whole number within bounds."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise WrongValueError(_got(f"a whole number from {low}", value))
        return value

    return check


def number(low: float, high: float) -> Check:
    """A number within bounds, both included."""

    def check(value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise WrongValueError(_got(f"a number from {low} to {high}", value))
        return float(value)

    return check


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts; one text stands for itself."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise WrongValueError(_got("a list of texts", value))
    return tuple(given)


def seeds(value: Any) -> tuple[int, ...]:
    """A list of seeds, or how many of them, counted from 0."""
    given = list(range(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    fine = isinstance(given, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in given)
    if not fine or not given or len(set(given)) < len(given) or min(given) < 0:
        raise WrongValueError(_got("a list of different whole numbers from 0, or how many", value))
    return tuple(given)


def settings(value: Any) -> dict[str, Any]:
    """Settings of the bundle by their names."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise WrongValueError(_got("settings by name", value))
    return dict(value)


def space(value: Any) -> dict[str, Any]:
    """A search space: setting -> bounds or choices."""
    return {key: _dimension(key, each) for key, each in settings(value).items()}


def optional(check: Check) -> Check:
    """`check`, or null."""
    return lambda value: None if value is None else check(value)


def _dimension(key: str, value: Any) -> dict[str, Any]:
    given = value if isinstance(value, dict) else {}
    if set(given) == {"choices"} and isinstance(given["choices"], list) and given["choices"]:
        if all(isinstance(each, (str, int, float, bool)) or each is None for each in given["choices"]):
            return {"choices": list(given["choices"])}
    elif {"low", "high"} <= set(given) <= {"low", "high", "log"}:
        low, high, log = given["low"], given["high"], given.get("log", False)
        numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (low, high))
        if numbers and isinstance(log, bool) and low < high and (low > 0 or not log):
            return {"low": low, "high": high, "log": log}
    expected = "{low: 0.0001, high: 0.01, log: true} or {choices: [a, b]}"
    msg = f"{key}: {_got(expected, value)}"
    raise WrongValueError(msg)


def _matching(value: Any, pattern: re.Pattern, expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise WrongValueError(_got(expected, value))
    return value


def _got(expected: str, value: Any) -> str:
    shown = repr(value)
    return f"expected {expected}, got {shown if len(shown) <= 60 else shown[:57] + '...'}."
