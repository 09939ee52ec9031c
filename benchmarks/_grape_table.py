"""From the runs of the GRAPE study to one table of predictions, and from that table to its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._grape_data import Fold
from benchmarks._grape_runs import TRAININGS
from medmd.metrics import clustered_bootstrap, paired_difference, regression_metrics
from medmd.utils import MedmdError, read_json

BASELINE = "uniform_sum"
STATISTICS = ("r2", "rmse", "mae")
# Rows by name: title, training, and how its columns become a prediction.
ROWS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "fundus": ("crop alone", "unimodal", lambda table: table["fundus"]),
    "rnfl": ("RNFL alone", "unimodal", lambda table: table["rnfl"]),
    "late_average": ("late average of the two", "unimodal", lambda table: (table["fundus"] + table["rnfl"]) / 2),
    "joint_loss": ("JointLoss", "joint_loss", lambda table: table["fusion"]),
    "uniform_sum": ("UniformSum", "uniform_sum", lambda table: table["fusion"]),
    "ogm_ge": ("OGMGE", "ogm_ge", lambda table: table["fusion"]),
    "mmpareto": ("MMPareto", "mmpareto", lambda table: table["fusion"]),
    "sgm": ("SGM", "sgm", lambda table: table["fusion"]),
    "stage1_uniform_sum": ("stage 1 + UniformSum", "stage1_uniform_sum", lambda table: table["fusion"]),
    "stage1_weight_0_uniform_sum": (
        "stage 1, contrastive weight 0 + UniformSum",
        "stage1_weight_0_uniform_sum",
        lambda table: table["fusion"],
    ),
    "remd": ("stage 1 + SGM (Re-M3Dr)", "remd", lambda table: table["fusion"]),
}
REFERENCES = {"constant": "constant: training mean", "ridge": "ridge regression on RNFL"}
TITLES = {**REFERENCES, **{name: title for name, (title, *_) in ROWS.items()}}

Runs = dict[str, list[dict[str, Any]]]


def read_runs(folder: Path) -> Runs:
    """The results of all runs by training.

    Raises:
        MedmdError: the baseline's are not there.
    """
    runs: Runs = {}
    for path in sorted((folder / "runs").glob("*.json")):
        result = read_json(path)
        runs.setdefault(result["training"], []).append(result)
    if BASELINE not in runs:
        msg = f"{folder}: no run of {BASELINE}, with which the others are compared. Run it too (--only)."
        raise MedmdError(msg)
    return runs


def pooled_table(runs: Runs, folds: Sequence[Fold], *, which: str = "predictions") -> pd.DataFrame:
    """Every eye once a seed, each predicted by the run that did not see its subject.

    Args:
        runs: results by training.
        folds: the eyes.
        which: `predictions` of the epoch that validation chose, or `last` of the last epoch.

    Returns:
        `case_id, patient_id, fold, seed, target`, then a column for each row of the report.

    Raises:
        MedmdError: an eye is missing for a seed, or there twice: the study is not complete.
    """
    eyes = pd.DataFrame(
        {"case_id": case.case_id, "patient_id": case.patient_id, "fold": number, "target": case.target}
        for number, fold in enumerate(folds)
        for case in fold["testing"]
    ).join(_references(folds))
    seeds = sorted({result["seed"] for result in runs[BASELINE]})
    table = eyes.merge(pd.DataFrame({"seed": seeds}), how="cross")
    for name, (_, training, combine) in ROWS.items():
        if training in runs:
            found = pd.concat([_predicted(result, which, combine, name) for result in runs[training]])
            table = table.merge(found, how="left", on=["case_id", "seed"], validate="one_to_one")
            _check_complete(table, name)
    return table


def statistics_of(table: pd.DataFrame, *, replicates: int, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Each row's metrics with intervals over subjects and seeds, its differences to the baseline, its SD over seeds.

    Raises:
        ValueError: MSE / (1 - R2) is not the variance of the target.
    """
    names = [name for name in TITLES if name in table]
    predictions = {name: table[name].to_numpy() for name in names}
    options: dict[str, Any] = {
        "seed": seed,
        "replicates": replicates,
        "statistics": STATISTICS,
        # Seeds are drawn too: a row of the table is one training's answer, not the method's.
        "groups": table["seed"].to_numpy() if table["seed"].nunique() > 1 else None,
    }
    target, patients = table["target"].to_numpy(), table["patient_id"].to_numpy()
    intervals = clustered_bootstrap(target, predictions, patients, **options)
    differences = paired_difference(target, predictions, patients, baseline=BASELINE, **options)
    check_identity(table, names)
    return {
        name: {
            "title": TITLES[name],
            "metrics": {key: _ends(value) for key, value in intervals[name].items()},
            "difference": {key: _ends(value) for key, value in differences.get(name, {}).items()},
            "seed_sd": _seed_spread(table, name),
        }
        for name in names
    }


def check_identity(table: pd.DataFrame, names: Sequence[str]) -> None:
    """Every row's MSE / (1 - R2) is the variance of the same target.

    Raises:
        ValueError: it is not.
    """
    variance = float(np.var(table["target"]))
    for name in names:
        found = regression_metrics(table["target"], table[name], on_undefined="ignore")
        implied = found["mse"] / (1 - found["r2"])
        if not np.isclose(implied, variance, rtol=1e-9):
            msg = f"{name}: MSE / (1 - R2) is {implied}, expected the variance of the target, {variance}."
            raise ValueError(msg)


def costs_of(runs: Runs) -> dict[str, dict[str, Any]]:
    """Steps, processor seconds and the balancer's logs of each trained row, means over folds and seeds."""
    return {name: _cost(runs, training) for name, (_, training, _) in ROWS.items() if training in runs}


def _cost(runs: Runs, training: str) -> dict[str, Any]:
    after = TRAININGS[training].after
    parts = [runs[training], *([] if after is None else [runs[after]])]
    logs = pd.DataFrame([result["logs"] for result in runs[training]])
    return {
        "steps": sum(_mean(result["steps"] for result in part) for part in parts),
        "processor_seconds": sum(_mean(result["seconds"]["processor"] for result in part) for part in parts),
        "best_epoch": {
            key: _mean(result["best_epoch"][key] for result in runs[training])
            for key in runs[training][0]["best_epoch"]
        },
        "epochs": runs[training][0]["epochs"],
        "logs": {str(key): float(value) for key, value in logs.mean().items()},
    }


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _references(folds: Sequence[Fold]) -> pd.DataFrame:
    """Constant and ridge for every test eye, fitted on training and validation eyes: they choose no epoch."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parts = []
    for fold in folds:
        known = [*fold["training"], *fold["validation"]]
        target = np.array([case.target for case in known])
        model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 3, 21)))
        model.fit(_rnfl(known), target)
        tests = _rnfl(fold["testing"])
        parts.append(pd.DataFrame({"constant": np.full(len(tests), target.mean()), "ridge": model.predict(tests)}))
    return pd.concat(parts, ignore_index=True)


def _rnfl(cases: Sequence[Any]) -> np.ndarray:
    return np.array([case.inputs["rnfl"] for case in cases], dtype=float)


def _predicted(result: Mapping[str, Any], which: str, combine: Callable[[Any], Any], name: str) -> pd.DataFrame:
    columns = pd.DataFrame(result[which])
    return pd.DataFrame({"case_id": columns["case_id"], "seed": result["seed"], name: combine(columns)})


def _check_complete(table: pd.DataFrame, name: str) -> None:
    missing = table[table[name].isna()]
    if len(missing):
        first = missing.iloc[0]
        msg = (
            f"The study is not complete: {TITLES[name]} does not predict {len(missing)} of {len(table)} rows, the "
            f"first is {first['case_id']} of seed {first['seed']}. Run it again with the same arguments to go on."
        )
        raise MedmdError(msg)


def _ends(value: Any) -> dict[str, float]:
    kept = {"estimate": value.estimate, "low": value.low, "high": value.high}
    return {**kept, "p_value": value.p_value} if hasattr(value, "p_value") else kept


def _seed_spread(table: pd.DataFrame, name: str) -> dict[str, float | None]:
    by_seed = pd.DataFrame(
        [regression_metrics(rows["target"], rows[name], on_undefined="ignore") for _, rows in table.groupby("seed")]
    )
    return {key: float(by_seed[key].std()) if len(by_seed) > 1 else None for key in STATISTICS}
