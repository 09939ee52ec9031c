"""Checks of constructor arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence


def check_positive(name: str, value: float) -> float:
    """Return `value` when it is finite and above 0.

    Raises:
        ValueError: it is not.
    """
    if not (math.isfinite(value) and value > 0):
        msg = f"{name}: expected a finite number above 0; got {value!r}."
        raise ValueError(msg)
    return float(value)


def check_count(name: str, value: int, *, low: int) -> int:
    """Return `value` when it is a whole number of at least `low`.

    Raises:
        ValueError: it is not.
    """
    if int(value) != value or value < low:
        msg = f"{name}: expected a whole number of at least {low}; got {value!r}."
        raise ValueError(msg)
    return int(value)


def check_choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` when it is one of `allowed`.

    Raises:
        ValueError: it is not.
    """
    if value not in allowed:
        msg = f"{name}: expected one of {', '.join(allowed)}; got {value!r}."
        raise ValueError(msg)
    return value


def check_interval(name: str, value: Sequence[float]) -> tuple[float, float]:
    """Return (low, high) when 0 < low <= high.

    Raises:
        ValueError: it is no such pair.
    """
    if len(value) != 2 or not 0 < value[0] <= value[1] < math.inf:
        msg = f"{name}: expected (low, high) with 0 < low <= high; got {value!r}."
        raise ValueError(msg)
    return float(value[0]), float(value[1])


def check_finite(name: str, value: float) -> float:
    """Return `value` when it is finite.

    Raises:
        ValueError: it is not.
    """
    if not math.isfinite(value):
        msg = f"{name}: expected a finite number; got {value!r}."
        raise ValueError(msg)
    return float(value)
