"""The labels that a network of a benchmark was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from medmd.benchmark import Runs

Labels = NDArray[np.float64]
_MOST = "each of which is a training case in most of them"


def training_labels(runs: Runs, dataset: str, datalist: Path | None) -> tuple[Labels, str]:
    """The targets of the training cases, and in words where they are from.

    Args:
        runs: of the benchmark.
        dataset: name in the plan.
        datalist: of the data set; without one, that of a phantom which the benchmark made for it is taken, else what
            the tables of predictions hold.

    Raises:
        MedmdError: the datalist cannot be read.
    """
    planned = next(each for each in runs.plan["datasets"] if each["name"] == dataset)
    folds = planned.get("folds")
    own = runs.root / "phantom" / dataset / "datalist.json"
    if datalist is None and planned.get("phantom") is not None and own.is_file():
        datalist = own
    return _of_tables(runs, dataset, folds) if datalist is None else _of_datalist(datalist, folds)


def _of_datalist(path: Path, folds: int | None) -> tuple[Labels, str]:
    from medmd.data import load_datalist

    # Folds are made of all cases; the datalist's own split is not asked.
    cases = [case for split, case in load_datalist(path).cases() if folds or split == "training"]
    labels = np.array([case.target for case in cases if isinstance(case.target, (int, float))], dtype=np.float64)
    return labels, f"all cases of the datalist's {folds} folds, {_MOST}" if folds else "the datalist's training cases"


def _of_tables(runs: Runs, dataset: str, folds: int | None) -> tuple[Labels, str]:
    ended = runs.results[(runs.results["dataset"] == dataset) & (runs.results["status"] == "finished")]
    by_fold = ended.drop_duplicates("fold")
    table = pd.concat([runs.table(folder) for folder in by_fold["folder"]])
    split = "testing" if len(by_fold) > 1 else "validation"
    labels = table[table["split"] == split].drop_duplicates("case_id")["target"].dropna().to_numpy(np.float64)
    if split == "validation":
        return labels, (
            "the validation cases, in the place of the training cases: name the datalist with --datalist for those"
        )
    whose = "the folds" if len(by_fold) == folds else f"the {len(by_fold)} folds that have runs"
    return labels, f"all cases of {whose}, {_MOST}"
