"""Vectors that stand in a matrix beside the datalist: `vectors/text.npy#17` is row 17 of that file.

Thousands of cases with hundreds of numbers each would make a JSON file of tens of megabytes, which takes minutes to
validate; a matrix is read in milliseconds. In memory a case holds the numbers either way.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from medmd.data._paths import escapes, path_problem
from medmd.data._records import Case, Datalist
from medmd.utils import MedmdError

_MOST_DIGITS = 9
_DIMENSIONS = 2
_KINDS = "fiu"


class BadRow(NamedTuple):
    """A reference that leads to no row."""

    split: str
    case: Case
    name: str
    problem: str


def with_rows(datalist: Datalist) -> tuple[Datalist, list[BadRow]]:
    """The datalist with the numbers in the place of references, and the references that lead to none.

    Vectors that stand in the datalist itself, other inputs, and references that lead nowhere stay as they are.
    """
    names = [name for name, spec in datalist.header.inputs.items() if spec.kind == "vector"]
    folder = datalist.folder or Path()
    matrices: dict[str, Any] = {}
    bad: list[BadRow] = []
    splits: dict[str, list[Case]] = {}
    for split, case in datalist.cases():
        found = {
            name: _row(value, folder, matrices) for name in names if isinstance(value := case.inputs.get(name), str)
        }
        bad += [BadRow(split, case, name, value) for name, value in found.items() if isinstance(value, str)]
        rows = {name: value for name, value in found.items() if not isinstance(value, str)}
        splits.setdefault(split, []).append(replace(case, inputs={**case.inputs, **rows}) if rows else case)
    return replace(datalist, splits={split: splits.get(split, []) for split in datalist.splits}), bad


def require_rows(datalist: Datalist) -> Datalist:
    """`with_rows`, where every reference must lead to a row.

    Raises:
        MedmdError: one does not; the text names the case.
    """
    resolved, bad = with_rows(datalist)
    if bad:
        first = bad[0]
        msg = (
            f"Case {first.case.case_id}, input {first.name}: expected a row of a matrix (`file.npy#row`), got "
            f"{first.problem}. In all {len(bad)}. Convert the data set again, or copy its folder whole."
        )
        raise MedmdError(msg)
    return resolved


def _row(value: str, folder: Path, matrices: dict[str, Any]) -> list[float] | str:
    """The numbers, or why there are none; the path is not repeated, for it may name a person."""
    name, _, digits = value.rpartition("#")
    if not (name.endswith(".npy") and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
        return "a path that is no such reference"
    number = int(digits)
    if name not in matrices:
        matrices[name] = _matrix(folder, name)
    matrix = matrices[name]
    if isinstance(matrix, str):
        return matrix
    return matrix[number].tolist() if number < len(matrix) else f"row {number} of a matrix of {len(matrix)} rows"


def _matrix(folder: Path, name: str) -> Any:
    import numpy as np

    problem = path_problem(name)
    if problem:
        return problem
    path = folder / name
    if not path.is_file() or escapes(folder, path):
        return "a file that is not there, or a link out of the datalist's folder"
    try:
        matrix = np.load(path)
    except (OSError, ValueError, EOFError):
        return "a file that cannot be read as a matrix"
    if matrix.ndim != _DIMENSIONS or matrix.dtype.kind not in _KINDS:
        return f"an array of shape {matrix.shape} and type {matrix.dtype}"
    return matrix
