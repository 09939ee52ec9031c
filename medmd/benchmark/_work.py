"""Where a benchmark keeps what it has done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from medmd.utils import MedmdError, read_json

FORMAT = 1
RESULT, PREDICTIONS, HISTORY = "result.json", "predictions.csv", "history.csv"


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

    def search_failure(self, dataset: str, method: str, fold: int) -> Path:
        """Why that search failed, if it did."""
        return self.root / "tuning" / dataset / method / f"failed-fold{fold}.json"

    def status(self, key: RunKey) -> str | None:
        """`finished`, `failed`, or None when the run has not ended."""
        path = self.run(key) / RESULT
        return str(read_json(path)["status"]) if path.is_file() else None

    def folders(self) -> Iterator[Path]:
        """The folders of all runs that have ended, in a fixed order."""
        yield from sorted(path.parent for path in (self.root / "runs").glob(f"*/*/fold*-seed*/{RESULT}"))


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
