"""Large tables of numbers, read in seconds and without a Python object a cell."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.utils import MedmdError, regular_file

Matrix = npt.NDArray[np.float32]
_MOST_BYTES = 2**30


def read_header(path: Path) -> list[str]:
    """The names of the columns of a CSV file.

    Raises:
        MedmdError: the file is absent, too large or no text.
    """
    regular_file(path.resolve(), role="a table of numbers", most_bytes=_MOST_BYTES)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path.name}: expected a CSV file in UTF-8 with the names of its columns in the first line."
        raise MedmdError(msg) from error


def read_columns(path: Path, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Columns of a CSV file by name, (rows, len(names)); cells of other columns are not looked at.

    Raises:
        MedmdError: a column is absent, a cell is no number, or there is no row.
    """
    header = read_header(path)
    missing = [name for name in names if name not in header]
    if missing:
        msg = (
            f"{path.name}: expected the columns of the release, {len(missing)} of which are absent: "
            f"{', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}. Download it again."
        )
        raise MedmdError(msg)
    places = [header.index(name) for name in names]
    try:
        values = np.loadtxt(path, delimiter=",", skiprows=1, usecols=places, comments=None, quotechar='"', ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        msg = f"{path.name}: expected a number in every cell of a row as long as the header ({error})."
        raise MedmdError(msg) from error
    if not len(values):
        msg = f"{path.name}: expected rows below the header, got none."
        raise MedmdError(msg)
    return values


def whole_rows(matrices: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[np.bool_]]:
    """Input -> which of its rows hold finite numbers only."""
    return {name: np.isfinite(matrix).all(axis=1) for name, matrix in matrices.items()}
