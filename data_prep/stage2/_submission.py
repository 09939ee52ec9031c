"""From predictions to the challenge's result file, and the challenge's score of such a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._tables import read_rows
from data_prep.stage2._cases import MD_RANGE
from data_prep.stage2._labels import as_number, eye_number, read_md
from data_prep.stage2._tree import File
from medmd.utils import MedmdError, write_atomic

if TYPE_CHECKING:
    from medmd.data import Datalist

RESULTS = "MD_Results.csv"
_HEADER = ("ID", "pred_MD")
# `medmd predict` writes `md`, a run's own table of predictions `fusion`.
_PREDICTIONS = ("md", "fusion")
_SHOWN = 5


def write_submission(
    predictions: str | Path,
    datalist: str | Path,
    out: str | Path = RESULTS,
    *,
    column: str | None = None,
    fill: float | None = None,
) -> list[str]:
    """Write `ID,pred_MD`, one row for every eye of the part, in the order of its numbers.

    Args:
        predictions: CSV with `case_id` and a column of MD in dB, as `medmd predict` writes it.
        datalist: of the part, as `convert` wrote it; it knows the release's numbers of all its eyes.
        out: the file to make; the challenge calls it `MD_Results.csv`.
        column: which column to take; by default `md`, else `fusion`.
        fill: MD in dB for eyes without a prediction; None refuses to leave any out.

    Returns:
        The numbers of the eyes that were filled.

    Raises:
        MedmdError: a file has another form, a prediction is no number or outside what MD can be, or eyes lack one.
    """
    from medmd.data import load_datalist

    expected, owners = _expected(load_datalist(datalist))
    found = _predictions(Path(predictions), column, owners)
    missing = [number for number in expected if number not in found]
    if missing and fill is None:
        msg = (
            f"{Path(predictions).name}: {len(missing)} of {len(expected)} eyes have no prediction "
            f"({_some(missing)}). Predict them, or name a value for them with --fill."
        )
        raise MedmdError(msg)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((number, f"{found.get(number, fill):.6f}") for number in expected)
    write_atomic(out, buffer.getvalue())
    return missing


def score_submission(submission: str | Path, labels: str | Path) -> dict[str, Any]:
    """The challenge's score of a result file, with what else a reader wants to know.

    Args:
        submission: CSV `ID,pred_MD`.
        labels: the release's label table (`task1_GT_….csv` or `.xlsx`), or a datalist with targets.

    Returns:
        `score` (0.5 / (SMAPE + 0.1) + 0.5 * 10 * R2; 10 is perfect), `smape`, `r2`, `mae` and `rmse` in dB, and `n`.

    Raises:
        MedmdError: a file has another form, eyes with a label lack a prediction, or R2 is not defined for the labels.
    """
    from medmd.metrics import regression_metrics, smape, stage_challenge_score

    truth = _truth(Path(labels))
    predicted = _submitted(Path(submission))
    missing = sorted(set(truth) - set(predicted))
    if missing:
        msg = f"{Path(submission).name}: {len(missing)} eyes with a label have no row ({_some(missing)})."
        raise MedmdError(msg)
    if len(set(truth.values())) < 2:
        msg = f"{Path(labels).name}: expected two or more eyes with different labels, got {len(truth)} eyes."
        raise MedmdError(msg)
    numbers = sorted(truth)
    pair = [truth[number] for number in numbers], [predicted[number] for number in numbers]
    metrics = regression_metrics(*pair)
    return {
        "score": stage_challenge_score(*pair),
        "smape": smape(*pair),
        **{name: float(metrics[name]) for name in ("r2", "mae", "rmse")},
        "n": len(numbers),
    }


def _expected(datalist: Datalist) -> tuple[list[str], dict[str, str]]:
    """All numbers of the part, and case id -> number."""
    numbers = datalist.header.details.get("release_ids")
    if not numbers or datalist.header.target.name != "md":
        msg = f"{datalist.header.name}: expected a datalist of STAGE or STAGE2 as this converter writes it."
        raise MedmdError(msg)
    return list(numbers), {case.case_id: case.details["release_id"] for _, case in datalist.cases()}


def _predictions(path: Path, column: str | None, owners: Mapping[str, str]) -> dict[str, float]:
    header, rows = _csv(path)
    wanted = _PREDICTIONS if column is None else (column,)
    taken = next((name for name in wanted if name in header), None)
    if taken is None or "case_id" not in header:
        msg = f"{path.name}: expected the columns case_id and {' or '.join(wanted)}, got {', '.join(header)}."
        raise MedmdError(msg)
    case, value = header.index("case_id"), header.index(taken)
    found: dict[str, float] = {}
    for row in rows:
        # A table of predictions may hold other parts too.
        number = owners.get(str(row[case]))
        if number is not None:
            _add(found, number, row[value], path)
    return found


def _submitted(path: Path) -> dict[str, float]:
    rows = read_rows(path) if path.is_file() else []
    if not rows or [str(cell) for cell in rows[0][:2]] != list(_HEADER):
        got = "no such file" if not path.is_file() else str(rows[0] if rows else "an empty file")
        msg = f"{path.name}: expected a table with the columns {','.join(_HEADER)}, got {got}."
        raise MedmdError(msg)
    found: dict[str, float] = {}
    for row in rows[1:]:
        number = eye_number(row[0])
        if number is None:
            msg = f"{path.name}: expected the number of an eye, got {row[0]!r}."
            raise MedmdError(msg)
        _add(found, f"{number:04d}", row[1], path)
    return found


def _add(found: dict[str, float], number: str, cell: Any, path: Path) -> None:
    value = as_number(cell)
    if value is None:
        msg = f"{path.name}, eye {number}: expected a prediction in dB, got {cell!r}."
        raise MedmdError(msg)
    if number in found:
        msg = f"{path.name}, eye {number}: two predictions. Leave the one that is meant."
        raise MedmdError(msg)
    found[number] = value


def _truth(path: Path) -> dict[str, float]:
    if path.suffix.lower() == ".json":
        from medmd.data import load_datalist

        datalist = load_datalist(path)
        _, owners = _expected(datalist)
        return {owners[case.case_id]: float(case.target) for _, case in datalist.cases() if case.target is not None}  # type: ignore[arg-type]
    table = read_md(File(path, path.name), limits=MD_RANGE)
    return {f"{number:04d}": value for number, value in table.rows.items() if number not in table.faults}


def _csv(path: Path) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    rows = read_rows(path)
    return ([str(cell) for cell in rows[0]] if rows else []), rows[1:]


def _some(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ", ".join(numbers[:_SHOWN]) + more
