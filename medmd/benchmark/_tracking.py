"""Every run of a benchmark as a child run of one MLflow run, told by the process that hands out the work."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.benchmark._plan import Plan
from medmd.benchmark._work import PREDICTIONS, RESULT, Work, read_result
from medmd.handlers import NEUTRAL_TAGS, MLflowRun
from medmd.metrics import regression_metrics
from medmd.report import predictor_columns, read_predictions
from medmd.utils import MedmdError, sha256_file, write_json

_LOGGER = logging.getLogger(__name__)
_KEY, _DIGEST = "medmd.run", "medmd.result"
_LONGEST = 500
_PAGE = 1000
_METRICS = ("mse", "mae", "r2")


class Tracker:
    """Tells MLflow of the runs that have ended.

    The store is the one of `MLFLOW_TRACKING_URI`, else a SQLite file in the benchmark's folder. Nothing that names a
    case is told, and a store that fails costs a warning: what could not be told is told at the next start, since each
    `result.json` keeps the id of its MLflow run.

    Args:
        work: the benchmark's folder.
        plan: what is compared; its name is the experiment's.
        enabled: false tells nothing.
    """

    def __init__(self, work: Work, plan: Plan, *, enabled: bool = True) -> None:
        self.work = work
        self.plan = plan
        self.enabled = enabled
        self._parent = MLflowRun(folder=work.root, experiment=plan.name, name=plan.name, enabled=enabled)
        self._experiment = ""

    @contextmanager
    def running(self) -> Iterator[Tracker]:
        """The time of a benchmark; the parent run is closed with what happened.

        Raises:
            MedmdError: the store cannot be used at the start.
        """
        status = "FAILED"
        try:
            self._start()
            yield self
            status = "FINISHED"
        except (KeyboardInterrupt, SystemExit):
            status = "KILLED"
            raise
        finally:
            self._finish(status)

    def tell(self, folder: Path) -> None:
        """Tell of a run that has ended, unless that was done."""
        if not self.enabled:
            return
        result = read_result(folder)
        if result.get("mlflow_run_id") is not None:
            return
        try:
            with self._parent.speaking():
                run_id = self._child(folder, result)
        except MedmdError as error:
            _LOGGER.warning("%s It is told at the next start.", error)
            self.enabled = False
            return
        write_json(folder / RESULT, {**result, "mlflow_run_id": run_id})

    def _start(self) -> None:
        if not self.enabled:
            return
        plan = self.plan
        parameters = {
            "datasets": ", ".join(dataset.name for dataset in plan.datasets),
            "methods": ", ".join(method.name for method in plan.methods),
            "seeds": str(list(plan.seeds)),
        }
        self._parent.start(parameters=parameters, tags={"medmd.kind": "benchmark"})
        self._experiment = self._parent.experiment_id()
        waiting = [folder for folder in self.work.folders() if read_result(folder).get("mlflow_run_id") is None]
        if waiting:
            self._adopt(waiting)
        for folder in waiting:
            self.tell(folder)

    def _adopt(self, waiting: list[Path]) -> None:
        """Find the runs that were told before a kill, and remove those that were half told."""
        client, told = self._parent.client, {}
        parent = f"tags.`mlflow.parentRunId` = '{self._parent.run_id}'"
        for run in client.search_runs([self._experiment], parent, max_results=_PAGE):
            if run.info.status == "RUNNING":
                client.delete_run(run.info.run_id)
            else:
                told[run.data.tags.get(_DIGEST)] = run.info.run_id
        for folder in waiting:
            run_id = told.get(sha256_file(folder / RESULT))
            if run_id is not None:
                write_json(folder / RESULT, {**read_result(folder), "mlflow_run_id": run_id})

    def _child(self, folder: Path, result: Mapping[str, Any]) -> str:
        from mlflow.entities import Metric, Param

        client, now = self._parent.client, int(time.time() * 1000)
        key = "/".join(str(result[name]) for name in ("dataset", "method", "fold", "seed"))
        tags = {
            **NEUTRAL_TAGS,
            "mlflow.parentRunId": str(self._parent.run_id),
            _KEY: key,
            _DIGEST: sha256_file(folder / RESULT),
            # The message may name cases.
            **({"medmd.error": result["error"]["type"]} if result.get("error") else {}),
        }
        run = client.create_run(self._experiment, run_name=key, tags=tags, start_time=now)
        metrics = [Metric(name, value, now, 0) for name, value in _values(folder, result).items()]
        parameters = [Param(name, str(value)[:_LONGEST]) for name, value in _parameters(result).items()]
        client.log_batch(run.info.run_id, metrics=metrics, params=parameters)
        client.set_terminated(run.info.run_id, "FINISHED" if result["status"] == "finished" else "FAILED")
        return str(run.info.run_id)

    def _finish(self, status: str) -> None:
        if self._parent.run_id is not None:
            try:
                self._parent.finish(status)
            except MedmdError as error:
                _LOGGER.warning("%s", error)


def _parameters(result: Mapping[str, Any]) -> dict[str, Any]:
    names = ("dataset", "method", "fold", "seed", "label")
    overlays = ", ".join(Path(name).stem if name.endswith(".json") else name for name in result.get("overlays", ()))
    return {**{name: result[name] for name in names}, "overlays": overlays, **result.get("settings", {})}


def _values(folder: Path, result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a run: of its course, and of its predictions."""
    parts = {"steps": result.get("steps"), "seconds": result.get("seconds"), "mean": result.get("summary")}
    found = {f"{part}/{name}": value for part, values in parts.items() for name, value in (values or {}).items()}
    found["parameters"] = result.get("parameters")
    if (folder / PREDICTIONS).is_file():
        found |= measured(read_predictions(folder / PREDICTIONS))
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def measured(table: pd.DataFrame) -> dict[str, float]:
    """Mean squared and absolute error and R2 of each column; of classes the share of right ones."""
    found: dict[str, float] = {}
    columns = predictor_columns(table)
    for split, rows in table.groupby("split"):
        for name in columns:
            known = rows[rows["target"].notna() & rows[name].notna()]
            if len(known) < 2:
                continue
            if f"{name}_p0" in table:
                found[f"{split}/{name}_accuracy"] = float((known[name] == known["target"]).mean())
                continue
            metrics = regression_metrics(known["target"].to_numpy(), known[name].to_numpy(), on_undefined="ignore")
            found |= {f"{split}/{name}_{metric}": metrics[metric] for metric in _METRICS}
    return found
