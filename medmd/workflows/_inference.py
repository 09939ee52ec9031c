"""A model folder at work: predictions of new eyes as a table, and its evaluation on eyes whose target is known."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.data import load_datalist, load_items
from medmd.networks import BundleNetwork
from medmd.utils import MedmdError, atomic_path, write_json
from medmd.workflows._data import labelled_cases, with_inputs
from medmd.workflows._evaluation import header_of
from medmd.workflows._model_folder import load_model_folder
from medmd.workflows._prediction_columns import case_columns, predictor_columns_of, reference_columns_of
from medmd.workflows._predictor import Predictor, items_from_folder

_LOGGER = logging.getLogger(__name__)


def bundle_network(folder: str | Path) -> BundleNetwork:
    """The network of a model folder as MONAI's tools call one."""
    return BundleNetwork(load_model_folder(folder).network)


def cases_to_predict(source: str | Path, inputs: dict[str, str], split: str | None = None) -> list[dict[str, Any]]:
    """The cases of a datalist, or of a folder of files named by eye and modality.

    Args:
        source: a datalist, a folder that holds `datalist.json`, or a folder of files (see `items_from_folder`).
        inputs: kind by modality of the model.
        split: list of the datalist; by default `testing` if it has one, else `unsplit`.

    Raises:
        MedmdError: the source does not exist or has nothing that the model can take.
    """
    path = datalist_path(source)
    if path is None:
        return items_from_folder(source, inputs)
    chosen = choose_split(path, split)
    return with_inputs(load_items(path, chosen), inputs, where=chosen)


def datalist_path(source: str | Path) -> Path | None:
    """The datalist that `source` is or holds, or `None` for a folder of files.

    Raises:
        MedmdError: the source does not exist.
    """
    source = Path(source)
    if not source.exists():
        msg = f"{source}: no such file or folder. Expected a datalist.json, its folder, or a folder of images."
        raise MedmdError(msg)
    if source.is_file():
        return source
    return source / "datalist.json" if (source / "datalist.json").is_file() else None


def choose_split(path: Path, split: str | None) -> str:
    """`split`, or the one that is meant when none is named."""
    if split is not None:
        return split
    return "testing" if "testing" in load_datalist(path).splits else "unsplit"


class Inference:
    """Predicts every case and writes one CSV: `case_id`, the fused prediction, and each modality's own.

    Args:
        predictor: of the model folder.
        items: see `cases_to_predict`.
        output_file: CSV to make or replace.
    """

    def __init__(self, *, predictor: Predictor, items: list[dict[str, Any]], output_file: str | Path) -> None:
        self.predictor = predictor
        self.items = items
        self.output_file = Path(output_file)

    def run(self) -> pd.DataFrame:
        """Predict and write; the table is returned too. How many cases lack a modality is logged."""
        _log_missing(self.items, self.predictor.modalities)
        table = self.predictor.predict(self.items)
        with atomic_path(self.output_file) as temporary:
            table.to_csv(temporary, index=False)
        _LOGGER.info("%d predictions in %s.", len(table), self.output_file)
        return table


def _log_missing(items: list[dict[str, Any]], modalities: tuple[str, ...]) -> None:
    for name in modalities:
        lacking = sum(item.get(name) is None for item in items)
        if lacking:
            _LOGGER.info("%d of %d cases lack %s.", lacking, len(items), name)


class Evaluation:
    """Evaluates a model folder on a datalist, its own or another site's, and writes the report.

    Args:
        predictor: of the model folder.
        source: a datalist, or the folder that holds `datalist.json`.
        output_dir: for `predictions.csv` and the report.
        split: list of the datalist; see `cases_to_predict`.
    """

    def __init__(
        self, *, predictor: Predictor, source: str | Path, output_dir: str | Path, split: str | None = None
    ) -> None:
        self.predictor = predictor
        self.source = source
        self.folder = Path(output_dir)
        self.split = split

    def run(self) -> None:
        """Predict, write table and report, show the result.

        Raises:
            MedmdError: there is no datalist, or it is of another target than the model's.
        """
        from medmd.report import format_table, write_predictions, write_report

        path = datalist_path(self.source)
        if path is None:
            msg = f"{self.source}: evaluation needs a datalist, which holds the measured values; found none."
            raise MedmdError(msg)
        datalist = load_datalist(path)
        target = datalist.header.target
        if target.name != self.predictor.target:
            msg = f"The model predicts {self.predictor.target!r}, the datalist's target is {target.name!r}."
            raise MedmdError(msg)
        split = choose_split(path, self.split)
        items = labelled_cases(path, split, self.predictor.modalities)
        found = self.predictor.table(items)
        cases = {case.case_id: case for case in datalist.splits[split]}
        rows = [cases[case_id] for case_id in found["case_id"]]
        table = case_columns(rows, split, target).join(predictor_columns_of(found, self.predictor.modalities))
        table = table.join(reference_columns_of(rows))
        write_predictions(self.folder / "predictions.csv", table)
        write_json(self.folder / "datalist_header.json", header_of(path))
        evaluation = write_report(self.folder, out_dir=self.folder / "report", split=split)
        _LOGGER.info("\n%s", format_table(evaluation))
