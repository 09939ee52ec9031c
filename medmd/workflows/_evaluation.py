"""The end of a run: one table of predictions, the report from it, and the model as a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from medmd.data import Datalist, TargetSpec, load_datalist
from medmd.engines import predict_table
from medmd.handlers import KeepBestOfEach, MLflowRun
from medmd.networks import build_network
from medmd.utils import read_json, write_json
from medmd.workflows._model_folder import write_model_folder
from medmd.workflows._parser import resolve_literals
from medmd.workflows._prediction_columns import (
    case_columns,
    constant_columns,
    late_average,
    predictor_columns_of,
    reference_columns_of,
    renamed,
)
from medmd.workflows._preprocessing import check_preprocessing
from medmd.workflows._scrub import scrub_header
from medmd.workflows._session import Session

_LOGGER = logging.getLogger(__name__)
_LOGGED_METRICS = ("r2", "rmse", "mae", "accuracy", "balanced_accuracy", "macro_f1", "kappa", "log_loss")


class FinalEvaluation:
    """Predicts the held-out splits with the best weights, writes table, report and model folder, shows the result.

    The table has one row a case and a column for each predictor: `fusion` and `unimodal_<modality>` of stage 2,
    `pretrain_<modality>` and their mean `late_average` from stage 1, and the references `reference_constant` (training
    mean) and those that the datalist holds. Everything that is reported is computed from this table.

    Of classes a predictor's column holds the index of the most probable class, and `<predictor>_p0`, `_p1`, … the
    probabilities; `late_average` is the mean of the probabilities, `reference_constant` the most common class of the
    training split with the frequencies there. Of several tasks `task_<task>` and `task_<task>_target` hold each task's;
    `target` and `fusion` repeat those of the first, and there are no columns for modalities.

    Args:
        session: the run.
        network: with the weights of stage 2; unchanged afterwards.
        loaders: by split, what to predict, in a fixed order. `testing` is what the result is about.
        target_statistics: of the training split.
        pretrained: the handler that holds stage 1's best weights, or `None` when there was no stage 1.
        bootstrap_seed: of the intervals.

    Raises:
        MedmdError: network or preprocessing cannot be handed over as plain data.
    """

    def __init__(
        self,
        *,
        session: Session,
        network: nn.Module,
        loaders: Mapping[str, Iterable],
        target_statistics: Mapping[str, float],
        pretrained: KeepBestOfEach | None = None,
        bootstrap_seed: int = 0,
    ) -> None:
        self.session = session
        self.network = network
        self.loaders = dict(loaders)
        self.statistics = dict(target_statistics)
        self.pretrained = pretrained
        self.bootstrap_seed = bootstrap_seed
        if "evaluate" in session.stages:
            # Now, not after hours of training.
            self._describe_model()

    def run(self) -> None:
        """Predict, write, report."""
        from medmd.report import format_table, write_predictions, write_report

        _LOGGER.info("Evaluating with the best weights: %s.", ", ".join(self.loaders))
        datalist = load_datalist(self.session.datalist)
        table = self.table(datalist)
        folder = self.session.folder
        write_predictions(folder / "predictions.csv", table)
        self.session.history.write(folder / "history.csv")
        write_json(folder / "datalist_header.json", scrub_header(header_of(self.session.datalist)))
        self._write_model(datalist)
        evaluation = write_report(folder, out_dir=folder / "report", seed=self.bootstrap_seed)
        self._track(folder)
        log_values(self.session.tracker, final_values(evaluation))
        _LOGGER.info("\n%s", format_table(evaluation))

    def table(self, datalist: Datalist) -> pd.DataFrame:
        """The table of predictions, not written anywhere.

        Args:
            datalist: that of the session, read.
        """
        return pd.concat([self._split(split, datalist) for split in self.loaders], ignore_index=True)

    def _split(self, split: str, datalist: Datalist) -> pd.DataFrame:
        loader = self.loaders[split]
        found = predict_table(self.network, loader, self.session.device)
        cases = {case.case_id: case for case in datalist.splits[split]}
        rows = [cases[case_id] for case_id in found["case_id"]]
        target = datalist.header.target
        table = case_columns(rows, split, target).join(predictor_columns_of(found, self._modalities))
        if self._was_pretrained:
            table = table.join(self._stage_one(loader))
        return table.assign(**constant_columns(self.statistics, target)).join(reference_columns_of(rows))

    @property
    def _modalities(self) -> tuple[str, ...]:
        return tuple(self.network.modalities)  # type: ignore[arg-type]

    @property
    def _was_pretrained(self) -> bool:
        return self.pretrained is not None and any(best.weights for best in self.pretrained.best.values())

    def _stage_one(self, loader: Iterable) -> pd.DataFrame:
        """Predictions of each modality alone, with its best weights of stage 1."""
        pretrained: Any = self.pretrained
        now = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        pretrained.restore()
        try:
            found = predict_table(self.network, loader, self.session.device)
        finally:
            self.network.load_state_dict(now)
        names = [name for name, best in pretrained.best.items() if best.weights]
        table = renamed(found, {name: f"pretrain_{name}" for name in names})
        return table.join(late_average(found, names)) if len(names) > 1 else table

    def _describe_model(self) -> dict[str, Any]:
        """Network and preprocessing as plain data, checked to be such as a model folder takes."""
        description = resolve_literals(self.session.config, "network")
        preprocessing = resolve_literals(self.session.config, "preprocessing")
        check_preprocessing(preprocessing)
        build_network(description, load_pretrained=False)
        return {"description": description, "preprocessing": preprocessing}

    def _write_model(self, datalist: Datalist) -> None:
        header = datalist.header
        write_model_folder(
            self.session.folder / "model",
            network=self.network,
            **self._describe_model(),
            facts={
                "method": self.session.method,
                "inputs": {name: header.inputs[name].kind for name in self._modalities},
                "target": target_facts(header.target),
                "trained_on": {
                    "name": header.name,
                    "datalist_sha256": read_json(self.session.folder / "run.json")["datalist_sha256"],
                },
            },
        )

    def _track(self, folder: Path) -> None:
        tracker = self.session.tracker
        for name in ("predictions.csv", "history.csv", "datalist_header.json"):
            tracker.log_file(folder / name)
        tracker.log_file(folder / "report", "report")
        tracker.log_file(folder / "model", "model")
        for stage in ("pretrain", "train"):
            newest = sorted((folder / "checkpoints" / stage).glob("checkpoint-*.pt"))[-1:]
            for path in newest:
                tracker.log_file(path, f"checkpoints/{stage}")


def target_facts(target: TargetSpec) -> dict[str, Any]:
    """What a model folder says of the target; kind, classes and tasks only where it is no plain number."""
    facts: dict[str, Any] = {"name": target.name, "unit": target.unit, "range": list(target.range)}
    if target.kind != "number":
        facts["kind"] = target.kind
    if target.kind == "class":
        facts["classes"] = list(target.class_names)
    return {**facts, "tasks": [target_facts(task) for task in target.tasks]} if target.tasks else facts


def final_values(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """The defined test metrics of every predictor, as `test/<predictor>_<metric>`; of tasks `test/<task>/…`."""
    if "tasks" in evaluation:
        each = {task: final_values(found) for task, found in evaluation["tasks"].items()}
        return {f"test/{task}/{name[5:]}": value for task, found in each.items() for name, value in found.items()}
    return {
        f"test/{predictor}_{name}": float(found[name]["estimate"])
        for predictor, found in evaluation["overall"].items()
        for name in _LOGGED_METRICS
        if found.get(name, {}).get("estimate") is not None
    }


def log_values(tracker: MLflowRun, values: Mapping[str, float]) -> None:
    """Log final numbers to the MLflow run, in one call; nothing happens when tracking is off."""
    tracker.log_values(values)


def header_of(path: Path) -> dict[str, Any]:
    """A datalist's header without its cases."""
    return {name: value for name, value in read_json(path).items() if not isinstance(value, list)}
