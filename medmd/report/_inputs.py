"""What a report is made from: a folder of a run, or one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.report._tables import read_history, read_predictions
from medmd.utils import MedmdError, read_json

PREDICTIONS = "predictions.csv"
HISTORY = "history.csv"
HEADER = "datalist_header.json"
RUN = "run.json"


@dataclass(frozen=True)
class ReportInputs:
    """The files of a run; all but the table may be absent.

    Attributes:
        table: predictions.
        history: numbers of the training.
        header: header of the datalist.
        run: versions, seeds, method.
    """

    table: pd.DataFrame
    history: pd.DataFrame | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> tuple[str, str]:
        """Name and unit of the target: MD in dB when the header does not say."""
        target = self.header.get("target")
        if not isinstance(target, Mapping):
            return "md", "dB"
        return str(target.get("name", "md")), str(target.get("unit") or "")

    @property
    def kind(self) -> str:
        """Of the target: `number`, `class` or `multi`; a number when the header does not say."""
        target = self.header.get("target")
        return str(target.get("kind", "number")) if isinstance(target, Mapping) else "number"

    @property
    def tasks(self) -> list[dict[str, Any]]:
        """Of several tasks what each of them is, as the header says it; else empty."""
        target = self.header.get("target")
        return [dict(task) for task in target.get("tasks", ())] if isinstance(target, Mapping) else []

    @property
    def method(self) -> str | None:
        """Name of the method, as `run.json` gives it: a text, or an object with a name."""
        method = self.run.get("method")
        if isinstance(method, Mapping):
            method = method.get("name")
        return str(method) if method else None


def load_inputs(source: str | Path) -> ReportInputs:
    """Read a run's folder, or one table of predictions.

    Args:
        source: a folder with `predictions.csv` and, each optional, `history.csv`, `datalist_header.json` and
            `run.json`; or the path of a table.

    Raises:
        MedmdError: there is no table, or a file cannot be read.
    """
    source = Path(source)
    if not source.is_dir():
        return ReportInputs(read_predictions(source))
    if not (source / PREDICTIONS).is_file():
        msg = f"{source.name}: no {PREDICTIONS} in this folder. Expected the folder of a run that has been evaluated."
        raise MedmdError(msg)
    history = source / HISTORY
    return ReportInputs(
        read_predictions(source / PREDICTIONS),
        read_history(history) if history.is_file() else None,
        _object(source / HEADER),
        _object(source / RUN),
    )


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        msg = f"{path.name}: expected a JSON object, got {type(content).__name__}."
        raise MedmdError(msg)
    return content
