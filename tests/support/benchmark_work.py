"""A benchmark's folder with predictions that a test makes up."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medmd.benchmark import RunKey, Work, write_run
from medmd.utils import write_json

# name of a column -> predictions, from (target, a generator of the run's own)
Columns = Mapping[str, Callable[[np.ndarray, np.random.RandomState], np.ndarray]]


def noisy(spread: float, bias: float = 0.0) -> Callable[[np.ndarray, np.random.RandomState], np.ndarray]:
    """Predictions that are the target and noise."""
    return lambda target, random: target + bias + spread * random.standard_normal(len(target))


def write_work(
    root: Path,
    methods: Mapping[str, Columns | None],
    *,
    datasets: Sequence[str] = ("first",),
    seeds: Sequence[int] = (0, 1),
    folds: int | None = None,
    derived: Sequence[Mapping[str, Any]] = (),
    patients: int = 20,
    eyes: int = 2,
    labels: Mapping[str, str] | None = None,
    targets: Callable[[int, int], np.ndarray] | None = None,
    summary: Mapping[str, Mapping[str, float]] | None = None,
    steps: Mapping[str, int] | None = None,
) -> Work:
    """Write plan and runs.

    Args:
        root: folder to write.
        methods: name -> columns of its predictions; None for a method all of whose runs failed.
        datasets: names.
        seeds: of all methods.
        folds: None for one split (half of the patients in testing, a quarter in validation).
        derived: rows as a plan has them, `{"name", "of", "column"}`.
        patients: of each data set.
        eyes: of each patient.
        labels: by method, `core` by default.
        targets: `(number of the data set, cases) -> targets`; MD-like by default.
        summary: by method, logged means.
        steps: by stage, of each run.
    """
    work = Work(root)
    plan_methods = [{"name": name, "label": (labels or {}).get(name, "core")} for name in methods]
    write_json(
        work.plan,
        {
            "format": 1,
            "name": "synthetic",
            "seeds": list(seeds),
            "datasets": [{"name": name, "folds": folds} for name in datasets],
            "methods": [*plan_methods, *(dict(row) for row in derived)],
        },
    )
    for number, dataset in enumerate(datasets):
        cases = _cases(number, patients, eyes, targets)
        for name, columns in methods.items():
            for fold in range(folds or 1):
                for seed in seeds:
                    key = RunKey(dataset, name, fold, seed)
                    random = np.random.RandomState(_number(number, list(methods).index(name), fold, seed))
                    table = None if columns is None else _table(cases, fold, folds, columns, random)
                    write_run(work, key, _result(columns, name, labels, summary, steps), predictions=table)
    return work


def _cases(number: int, patients: int, eyes: int, targets: Callable[[int, int], np.ndarray] | None) -> pd.DataFrame:
    count = patients * eyes
    random = np.random.RandomState(number)
    values = -2 - 6 * random.gamma(0.7, size=count) if targets is None else np.asarray(targets(number, count))
    return pd.DataFrame(
        {
            "case_id": [f"c{position:04d}" for position in range(count)],
            "patient_id": [f"p{position // eyes:04d}" for position in range(count)],
            "laterality": ["RL"[position % 2] for position in range(count)],
            "target": values,
        }
    )


def _table(
    cases: pd.DataFrame, fold: int, folds: int | None, columns: Columns, random: np.random.RandomState
) -> pd.DataFrame:
    patient = cases["patient_id"].str[1:].astype(int)
    share = folds or 4
    part = patient % share
    testing = part == fold if folds else part < 2
    validation = part == (fold + 1) % share if folds else part == 2
    table = cases.assign(split=np.where(testing, "testing", np.where(validation, "validation", "training")))
    for name, make in columns.items():
        table[name] = make(table["target"].to_numpy(), random)
    return table[table["split"] != "training"].reset_index(drop=True)


def _result(
    columns: Columns | None,
    name: str,
    labels: Mapping[str, str] | None,
    summary: Mapping[str, Mapping[str, float]] | None,
    steps: Mapping[str, int] | None,
) -> dict[str, Any]:
    given = dict(steps or {"pretrain": 10, "train": 20})
    return {
        "status": "failed" if columns is None else "finished",
        "label": (labels or {}).get(name, "core"),
        "overlays": [f"methods/{name}"],
        "settings": {},
        "steps": {**given, "total": sum(given.values())},
        "epochs": {"pretrain": 1, "train": 2},
        "best_epoch": {"fusion": 2},
        "seconds": {"wall": 1.0, "processor": 1.0},
        "parameters": 1000,
        "summary": dict((summary or {}).get(name, {})),
        "error": {"type": "MedmdError", "message": "the loss is not finite"} if columns is None else None,
        "mlflow_run_id": None,
        "versions": {},
    }


def _number(*parts: int) -> int:
    from medmd.utils import derive_seed

    return derive_seed(*parts)
