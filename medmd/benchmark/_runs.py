"""The one reader of a benchmark's folder: every run, and every row of its tables with its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.benchmark._rows import Row, ensemble, rows_of
from medmd.benchmark._searches import failed_searches
from medmd.benchmark._work import PREDICTIONS, Work, read_result
from medmd.metrics import is_probability
from medmd.report import read_predictions
from medmd.utils import MedmdError, read_json

LONG_COLUMNS = ["dataset", "row", "seed", "fold", "case_id", "patient_id", "target", "prediction"]


@dataclass
class Runs:
    """What a benchmark has so far.

    Attributes:
        root: the folder.
        plan: the resolved plan.
        results: one row a run that has ended: `dataset, method, fold, seed, label, status, steps, steps_pretrain,
            steps_train, wall, processor` (seconds), `parameters, error, folder`, and `summary_<name>` for each logged
            mean; NaN or None where a run has no such thing.
        rows: the rows of its tables, in the plan's order.
        problems: sentences about runs that failed, are missing or cannot be read.
    """

    root: Path
    plan: dict[str, Any]
    results: pd.DataFrame
    rows: list[Row]
    problems: list[str] = field(default_factory=list)
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    @property
    def datasets(self) -> list[str]:
        """Names of the plan's data sets."""
        return [dataset["name"] for dataset in self.plan["datasets"]]

    def title(self, dataset: str) -> str:
        """A data set's name for readers."""
        return str(self._planned(dataset).get("title") or dataset)

    def unit(self, dataset: str) -> str:
        """Unit of a data set's target, such as `dB`; empty where the folder does not know it or it has none."""
        return str((self._planned(dataset).get("target") or {}).get("unit") or "")

    def searches(self) -> pd.DataFrame:
        """One row a search of settings: `dataset, method, fold, trials, processor` (seconds, NaN where unknown)."""
        found = []
        for path in sorted((self.root / "tuning").glob("*/*/fold*.json")):
            record = read_json(path)
            seconds = [trial.get("processor") for trial in record["trials"]]
            known = None if None in seconds else sum(seconds)
            found.append([*(record[name] for name in ("dataset", "method", "fold")), len(seconds), known])
        return pd.DataFrame(found, columns=["dataset", "method", "fold", "trials", "processor"])

    def table(self, folder: str | Path) -> pd.DataFrame:
        """The table of predictions of one run, as it was written.

        Args:
            folder: from the column `folder` of `results`.
        """
        name = str(folder)
        if name not in self._tables:
            self._tables[name] = read_predictions(self.root / name / PREDICTIONS)
        return self._tables[name]

    def result(self, folder: str | Path) -> dict[str, Any]:
        """All of `result.json` of one run."""
        return read_result(self.root / str(folder))

    def predictions(self, dataset: str, split: str = "testing", *, finite: bool = True) -> pd.DataFrame:
        """Every prediction of every row on one data set.

        Args:
            dataset: name in the plan.
            split: `testing` or `validation`.
            finite: leave out cases that a row does not predict, such as those without a single modality's input.

        Returns:
            Long form: `dataset, row, seed, fold, case_id, patient_id, target, prediction`; rows in the plan's order,
            then by seed and fold. Rows that no run predicts are not there.

        Raises:
            MedmdError: the plan has no such data set.
        """
        if dataset not in self.datasets:
            msg = f"dataset: expected one of {self.datasets}, got {dataset!r}."
            raise MedmdError(msg)
        ended = self.results[(self.results["dataset"] == dataset) & (self.results["status"] == "finished")]
        parts = [part for row in self.rows for part in self._parts(row, ended, dataset, split)]
        if not parts:
            return pd.DataFrame(columns=LONG_COLUMNS)
        found = pd.concat(parts, ignore_index=True)
        return found[found["prediction"].notna()].reset_index(drop=True) if finite else found

    def row_of(self, dataset: str) -> dict[str, Row]:
        """Name of a row of `predictions` -> the plan's row that it comes of, `unimodal_*` for `unimodal_oct`."""
        ended = self.results[(self.results["dataset"] == dataset) & (self.results["status"] == "finished")]
        found: dict[str, Row] = {}
        for row in (row for row in self.rows if row.datasets is None or dataset in row.datasets):
            for folder in ended.loc[ended["method"] == row.method, "folder"]:
                for name in row.names(list(self.table(folder).columns)):
                    found.setdefault(name, row)
        return found

    def has_classes(self, dataset: str) -> bool:
        """Whether the targets of a data set are classes, as far as its finished runs tell."""
        here = (self.results["dataset"] == dataset) & (self.results["status"] == "finished")
        return any(_has_shares(self.table(folder)) for folder in self.results.loc[here, "folder"])

    def _planned(self, dataset: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.plan["datasets"] if each["name"] == dataset)
        return found

    def _parts(self, row: Row, ended: pd.DataFrame, dataset: str, split: str) -> list[pd.DataFrame]:
        if row.datasets is not None and dataset not in row.datasets:
            return []
        runs = ended[ended["method"] == row.method].sort_values(["seed", "fold"])
        by_name: dict[str, list[pd.DataFrame]] = {}
        for folder, seed, fold in zip(runs["folder"], runs["seed"], runs["fold"], strict=True):
            table = self.table(folder)
            if (row.blend or row.ensemble) and _has_shares(table):
                self._tell(
                    f"{dataset}, {row.name}: blends and ensembles are means of numbers, not of classes; left out."
                )
                return []
            for name, prediction in row.predictions(table).items():
                here = table["split"] == split
                part = table.loc[here, ["case_id", "patient_id", "target"]].assign(
                    dataset=dataset, row=name, seed=seed, fold=fold, prediction=prediction[here]
                )
                by_name.setdefault(name, []).append(part[LONG_COLUMNS])
        if len(runs) and not by_name:
            wanted = ", ".join(row.wanted)
            self._tell(f"{dataset}: no run of {row.method} has a column {wanted}; the row {row.name} is missing.")
        if row.ensemble:
            return [ensemble(pd.concat(parts, ignore_index=True)) for parts in by_name.values()]
        return [part for parts in by_name.values() for part in parts]

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _has_shares(table: pd.DataFrame) -> bool:
    columns = list(table.columns)
    return any(is_probability(name, columns) for name in columns)


def load_runs(work: str | Path) -> Runs:
    """Read the folder of a benchmark, finished or not.

    Raises:
        MedmdError: the folder holds no plan.
    """
    place = Work(Path(work))
    if not place.plan.is_file():
        msg = f"{place.root}: no plan.json here. Expected the folder that `medmd benchmark --work` wrote."
        raise MedmdError(msg)
    plan = read_json(place.plan)
    problems: list[str] = []
    found = [flat for folder in place.folders() if (flat := _flat(place, folder, problems)) is not None]
    results = pd.DataFrame(found) if found else pd.DataFrame(columns=_FIXED)
    problems += _failed(results) + failed_searches(place) + _missing(plan, results)
    return Runs(root=place.root, plan=plan, results=results, rows=rows_of(plan), problems=problems)


_FIXED = [
    "dataset", "method", "fold", "seed", "label", "status", "steps", "steps_pretrain", "steps_train", "wall",
    "processor", "parameters", "error", "folder",
]  # fmt: skip


def _flat(work: Work, folder: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        result = read_result(folder)
    except MedmdError as error:
        problems.append(f"{folder.relative_to(work.root).as_posix()}: {error}")
        return None
    steps, seconds = result.get("steps") or {}, result.get("seconds") or {}
    failure = result.get("error")
    values = (
        *(result.get(name) for name in ("dataset", "method", "fold", "seed", "label", "status")),
        *(steps.get(name) for name in ("total", "pretrain", "train")),
        *(seconds.get(name) for name in ("wall", "processor")),
        result.get("parameters"),
        f"{failure['type']}: {failure['message']}" if failure else None,
        folder.relative_to(work.root).as_posix(),
    )
    summary = {f"summary_{name}": value for name, value in (result.get("summary") or {}).items()}
    return {**dict(zip(_FIXED, values, strict=True)), **summary}


def _failed(results: pd.DataFrame) -> list[str]:
    failed = results[results["status"] == "failed"]
    return [
        f"{run.dataset}, {run.method}, fold {run.fold}, seed {run.seed}: {run.error}" for run in failed.itertuples()
    ]


def _missing(plan: Mapping[str, Any], results: pd.DataFrame) -> list[str]:
    told = []
    for dataset in plan["datasets"]:
        for method in plan["methods"]:
            if method.get("of") or dataset["name"] not in (method.get("datasets") or [dataset["name"]]):
                continue
            seeds = method.get("seeds") or plan["seeds"]
            planned = len(seeds) * (dataset.get("folds") or 1)
            here = results[(results["dataset"] == dataset["name"]) & (results["method"] == method["name"])]
            if len(here) < planned:
                told.append(
                    f"{dataset['name']}, {method['name']}: {planned - len(here)} of {planned} runs are missing."
                )
    return told
