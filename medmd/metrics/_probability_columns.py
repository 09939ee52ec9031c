"""Which columns of a table of predictions hold the probabilities of classes: `fusion_p0` beside `fusion`."""

from __future__ import annotations

import re
from collections.abc import Container

_PROBABILITY = re.compile(r"(.+)_p\d+")


def probability_columns(columns: Container[str], name: str) -> list[str]:
    """The columns of the probabilities of a predictor of classes, in the order of the classes; none of a number.

    Args:
        columns: names, or a table that has them.
        name: of the predictor's column.
    """
    found: list[str] = []
    while f"{name}_p{len(found)}" in columns:
        found.append(f"{name}_p{len(found)}")
    return found


def is_probability(name: str, columns: Container[str]) -> bool:
    """Whether a column holds a probability of another one's classes, and is no prediction of its own."""
    match = _PROBABILITY.fullmatch(name)
    return match is not None and match[1] in columns
