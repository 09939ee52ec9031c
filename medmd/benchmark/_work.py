"""Where a benchmark keeps what it has done, and the one writer of a finished run."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from medmd.report import write_predictions
from medmd.utils import MedmdError, read_json, write_json

FORMAT = 1
RESULT, PREDICTIONS, HISTORY = "result.json", "predictions.csv", "history.csv"
HISTORY_COLUMNS = ["stage", "epoch", "iteration", "name", "value"]


class RunKey(NamedTuple):
    """Which run: a method on a data set, one fold, one seed."""

    dataset: str
    method: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset}, {self.method}, fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class Work:
    """The folder of a benchmark.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def plan(self) -> Path:
        """The resolved plan."""
        return self.root / "plan.json"

    def run(self, key: RunKey) -> Path:
        """The folder of a run; it stands under this name only when the run has ended."""
        return self.root / "runs" / key.dataset / key.method / f"fold{key.fold}-seed{key.seed}"

    def tuning(self, dataset: str, method: str, fold: int) -> Path:
        """The recorded search of a method's settings on one fold of a data set."""
        return self.root / "tuning" / dataset / method / f"fold{fold}.json"

    def status(self, key: RunKey) -> str | None:
        """`finished`, `failed`, or None when the run has not ended."""
        path = self.run(key) / RESULT
        return str(read_json(path)["status"]) if path.is_file() else None

    def folders(self) -> Iterator[Path]:
        """The folders of all runs that have ended, in a fixed order."""
        yield from sorted(path.parent for path in (self.root / "runs").glob(f"*/*/fold*-seed*/{RESULT}"))


def write_run(
    work: Work,
    key: RunKey,
    result: Mapping[str, Any],
    *,
    predictions: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
) -> Path:
    """Write the folder of a run that has ended, all of it or nothing; an earlier one of that name is replaced.

    Args:
        work: where.
        key: which run.
        result: what `result.json` says besides format and key; `status` is `finished` or `failed`.
        predictions: table of predictions, rows of validation and testing; required of a finished run.
        history: table of numbers of the training in long form.

    Returns:
        The folder.

    Raises:
        ValueError: a finished run without predictions, or another status.
        MedmdError: the predictions are no table of predictions.
    """
    if result.get("status") not in ("finished", "failed"):
        msg = f"status: expected finished or failed, got {result.get('status')!r}."
        raise ValueError(msg)
    if result["status"] == "finished" and predictions is None:
        msg = f"{key}: expected predictions of a finished run, got none."
        raise ValueError(msg)
    folder = work.run(key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        if predictions is not None:
            write_predictions(temporary / PREDICTIONS, predictions)
        if history is not None:
            history[HISTORY_COLUMNS].to_csv(temporary / HISTORY, index=False)
        write_json(temporary / RESULT, {"format": FORMAT, **result, **key._asdict()})
        temporary.chmod(0o755)
        _put(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def read_result(folder: Path) -> dict[str, Any]:
    """What `result.json` of a run says.

    Raises:
        MedmdError: it was written in another format.
    """
    found = read_json(folder / RESULT)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        got = found.get("format") if isinstance(found, dict) else json.dumps(found)[:40]
        msg = f"{folder.name}/{RESULT}: expected format {FORMAT}, got {got}. It was written by another version."
        raise MedmdError(msg)
    return found


def _put(temporary: Path, folder: Path) -> None:
    if folder.exists():
        # A folder cannot be renamed over one that holds files. Killed in between, the run counts as not done.
        old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
        folder.rename(old / "run")
        temporary.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(folder)
