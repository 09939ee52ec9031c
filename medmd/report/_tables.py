"""The table of predictions, from which every metric comes, and the table of the training's history."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from medmd.metrics import is_probability, probability_columns
from medmd.utils import MedmdError, atomic_path

IDENTITY_COLUMNS = ("case_id", "patient_id", "split", "laterality", "target")
_TEXT = ("case_id", "patient_id", "split", "laterality")
_REQUIRED = ("case_id", "patient_id", "split", "target")
_INFO = "info_"
_REFERENCE = "reference_"
_TASK = "task_"
_HISTORY = ("stage", "epoch", "iteration", "name", "value")


def predictor_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold predictions of the model, in the order of the table.

    Probabilities of classes (`fusion_p0`) belong to their prediction and are none of their own; nor are the columns of
    single tasks (`task_<task>`), of which the first stands in `fusion`.
    """
    extra = [name for name in table.columns if name not in IDENTITY_COLUMNS and not is_probability(name, table)]
    return [name for name in extra if not name.startswith((_INFO, _REFERENCE, _TASK))]


def reference_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold references (a constant, ceilings of the phantom), in the order of the table."""
    return [name for name in table.columns if name.startswith(_REFERENCE) and not is_probability(name, table)]


def task_table(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The table of one task alone: its target in `target` and its prediction in `fusion`.

    Raises:
        MedmdError: the table has no such task.
    """
    head, target = f"{_TASK}{task}", f"{_TASK}{task}_target"
    if head not in table.columns or target not in table.columns:
        msg = f"predictions: no columns {head} and {target}. Expected the table of a run on these tasks."
        raise MedmdError(msg)
    kept = [name for name in table.columns if name in IDENTITY_COLUMNS or name.startswith(_INFO)]
    own = {"fusion": table[head]}
    own |= {name.replace(head, "fusion", 1): table[name] for name in probability_columns(table, head)}
    return table[kept].assign(target=table[target], **own)


def read_predictions(path: str | Path) -> pd.DataFrame:
    """Read and check a table of predictions.

    Args:
        path: CSV with the columns case_id, patient_id, split, target, optionally laterality ("R", "L" or empty), then
            one number column a predictor, `reference_*` columns (numbers) and `info_*` columns (text, for subgroups).

    Returns:
        Text columns as strings, exactly as written ("0001" stays, an empty field is ""); number columns as float64,
        an empty field is NaN. Laterality is added, empty, when the file has none.

    Raises:
        MedmdError: the file is absent or no CSV, a column is missing, a number cannot be read, a case stands twice.
    """
    path = Path(path)
    table = _read_text(path, _REQUIRED)
    if "laterality" not in table.columns:
        table.insert(3, "laterality", "")
    for name in [column for column in table.columns if not _is_text(column)]:
        table[name] = _numbers(table, name, path.name)
    check_predictions(table, where=path.name)
    return table


def write_predictions(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table of predictions atomically; reading it back gives every number bit for bit.

    Args:
        path: the CSV to make or replace.
        table: see `read_predictions`; a missing laterality (None) becomes an empty field.

    Raises:
        MedmdError: a column is missing, a predictor is not numeric, a case stands twice.
    """
    table = table.copy()
    if "laterality" not in table.columns:
        table.insert(min(3, len(table.columns)), "laterality", "")
    for name in table.columns:
        if _is_text(name):
            table[name] = ["" if value is None or value != value else str(value) for value in table[name]]
        elif not pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name]):
            msg = (
                f"predictions: column {name!r} must hold numbers, got {table[name].dtype}. Text goes to info_* columns."
            )
            raise MedmdError(msg)
        else:
            table[name] = table[name].astype(np.float64)
    check_predictions(table, where=Path(path).name)
    with atomic_path(path) as temporary:
        # Float texts are the shortest that read back to the same bits.
        table.to_csv(temporary, index=False, lineterminator="\n")


def check_predictions(table: pd.DataFrame, *, where: str = "predictions") -> None:
    """Check columns and cases of a table of predictions.

    Raises:
        MedmdError: naming the first thing wrong.
    """
    missing = [name for name in _REQUIRED if name not in table.columns]
    if missing:
        msg = f"{where}: column(s) {', '.join(missing)} missing. Expected {', '.join(IDENTITY_COLUMNS)} and predictors."
        raise MedmdError(msg)
    if not predictor_columns(table) and not reference_columns(table):
        msg = f"{where}: no column of predictions beside {', '.join(table.columns)}. Expected, for example, 'fusion'."
        raise MedmdError(msg)
    for name in ("case_id", "patient_id"):
        empty = np.flatnonzero(table[name].isna() | (table[name].astype(str) == ""))
        if len(empty):
            msg = f"{where}: {name} is empty in row {int(empty[0]) + 1}. Every case needs a pseudonym for both."
            raise MedmdError(msg)
    doubled = table.loc[table["case_id"].duplicated(), "case_id"]
    if len(doubled):
        msg = (
            f"{where}: case {doubled.iloc[0]!r} stands twice. Expected one row a case; compare seeds by one table each."
        )
        raise MedmdError(msg)


def read_history(path: str | Path) -> pd.DataFrame:
    """Read the history of a training: columns stage, epoch, iteration, name, value in long form.

    Raises:
        MedmdError: the file is absent or no CSV, a column is missing, or a number cannot be read.
    """
    path = Path(path)
    table = _read_text(path, _HISTORY)
    for name in ("epoch", "iteration", "value"):
        table[name] = _numbers(table, name, path.name)
    return table


def _read_text(path: Path, required: tuple[str, ...]) -> pd.DataFrame:
    """All fields as text, so that pandas guesses nothing: "NA", "0001" and "1e5" may be names."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError as error:
        msg = f"{path.name}: no such file. Expected a CSV file at {path}."
        raise MedmdError(msg) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path.name}: not a CSV file in UTF-8 ({type(error).__name__})."
        raise MedmdError(msg) from error
    header = rows[0] if rows else []
    missing = [name for name in required if name not in header]
    if missing or len(set(header)) < len(header):
        msg = (
            f"{path.name}: expected the columns {', '.join(required)}, each once; got {', '.join(header) or 'nothing'}."
        )
        raise MedmdError(msg)
    ragged = [number for number, row in enumerate(rows, start=1) if len(row) != len(header)]
    if ragged:
        msg = f"{path.name}: row {ragged[0]} has {len(rows[ragged[0] - 1])} fields, expected {len(header)}."
        raise MedmdError(msg)
    return pd.DataFrame(rows[1:], columns=header, dtype=str)


def _is_text(name: str) -> bool:
    return name in _TEXT or name.startswith(_INFO)


def _numbers(table: pd.DataFrame, column: str, where: str) -> list[float]:
    numbers = [_number(text) for text in table[column]]
    for row, (number, text) in enumerate(zip(numbers, table[column], strict=True), start=1):
        if number is None:
            msg = (
                f"{where}: column {column!r}, row {row}: expected a number or an empty field, got {text[:40]!r}. "
                "Text for subgroups goes to columns named info_*."
            )
            raise MedmdError(msg)
    return [number for number in numbers if number is not None]


def _number(text: str) -> float | None:
    try:
        return float(text) if text.strip() else float("nan")
    except ValueError:
        return None
