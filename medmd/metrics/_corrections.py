"""P-values that know how many of them there are."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from medmd.metrics._inputs import Vector, as_vector

Correction: TypeAlias = Literal["holm", "bh", "none"]
CORRECTIONS: tuple[Correction, ...] = ("holm", "bh", "none")


def correct_p_values(p_values: Any, method: Correction = "holm") -> Vector:
    """P-values corrected for their number, to be compared with the level itself.

    Args:
        p_values: (N,) between 0 and 1; NaN stays NaN and does not count as a comparison.
        method: "holm" holds the chance of any false finding to the level, whatever the dependence (Holm 1979); "bh"
            holds the share of false findings among all findings, for independent or positively dependent tests
            (Benjamini and Hochberg 1995); "none" changes nothing.

    Returns:
        (N,) in the order given, at most 1.

    Raises:
        ValueError: an unknown method, or a value outside 0 to 1.

    Example:
        >>> correct_p_values([0.01, 0.04, 0.03], "holm").tolist()
        [0.03, 0.06, 0.06]
    """
    values = as_vector(p_values, "p_values")
    known = ~np.isnan(values)
    if method not in CORRECTIONS:
        msg = f"method must be one of {', '.join(CORRECTIONS)}; got {method!r}"
        raise ValueError(msg)
    if ((values[known] < 0) | (values[known] > 1)).any():
        msg = "p_values must be between 0 and 1"
        raise ValueError(msg)
    corrected = values.copy()
    if method != "none":
        corrected[known] = (_holm if method == "holm" else _benjamini_hochberg)(values[known])
    return corrected


def _holm(values: Vector) -> Vector:
    order = np.argsort(values, kind="stable")
    # The smallest is multiplied by the number of tests, the next by one less; none falls below the one before it.
    scaled = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return _in_place(np.minimum(scaled, 1.0), order)


def _benjamini_hochberg(values: Vector) -> Vector:
    order = np.argsort(values, kind="stable")
    scaled = values[order] * len(values) / np.arange(1, len(values) + 1)
    # From the largest down: none exceeds the one after it.
    return _in_place(np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0), order)


def _in_place(values: Vector, order: Any) -> Vector:
    result = np.empty_like(values)
    result[order] = values
    return result
