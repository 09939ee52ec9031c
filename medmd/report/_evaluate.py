"""All numbers of a report, from one table of predictions and at once for the whole split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medmd.metrics import (
    STATISTICS,
    Interval,
    bland_altman,
    calibration_line,
    clustered_bootstrap,
    paired_difference,
    smape,
    stage_challenge_score,
    undefined_reasons,
)
from medmd.report._labels import ordered
from medmd.report._strata import is_mean_deviation, severity_strata
from medmd.report._tables import check_predictions, predictor_columns, reference_columns
from medmd.utils import MedmdError, derive_seed

Evaluation: TypeAlias = dict[str, Any]

# In a narrow stratum R2 and correlations measure the stratum's width, not the predictor.
_STRATUM_STATISTICS = ("mae", "rmse", "bias", "median_ae", "within_1db", "within_2db", "within_3db")
_DIFFERENCE_STATISTICS = ("mae", "rmse", "r2")
_SIDES = {"R": "right", "L": "left"}
_CONSTANT = "reference_constant"
# The percentile bootstrap of a mean falls short of its coverage by about sqrt((P - 1) / P) and Student's t.
_FEW_PATIENTS = 20
# A line through almost one place has a slope of any size, and says nothing of calibration.
_LEAST_SPREAD = 0.01
_TOO_NARROW = "the prediction's SD is below 1 % of the target's"


def evaluate_predictions(
    table: pd.DataFrame,
    *,
    split: str = "testing",
    predictors: Sequence[str] | None = None,
    references: Sequence[str] | None = None,
    target_name: str = "md",
    unit: str = "dB",
    seed: int = 0,
    replicates: int = 2000,
    level: float = 0.95,
    constant: float | None = None,
    baseline: str | None = None,
) -> Evaluation:
    """Evaluate every predictor of a table on one split.

    Args:
        table: see `read_predictions`.
        split: which rows.
        predictors: columns; None for all that are predictors.
        references: columns; None for all named `reference_*`.
        target_name: "md" (with unit "dB") is stratified by the clinical limits, another target by quantiles.
        unit: of the target.
        seed: of the bootstrap.
        replicates: resamples of the bootstrap.
        level: coverage of the intervals.
        constant: training mean, for the constant predictor when the table has no column `reference_constant`. Without
            it the mean of the table's training rows is used, when there are any; never that of the split itself.
        baseline: predictor that the others are compared with; None for `fusion`, or the first one.

    Returns:
        A dict that JSON can hold: `split`, `target` (name, unit, n, patients, mean, sd, variance, min, max),
        `bootstrap`, `predictors`, `references`, `overall` ``{predictor: {n, patients, dropped, <statistic>:
        {estimate, low, high}, bland_altman, calibration, smape, stage_score, undefined}}``, `severity` and
        `laterality` (lists of strata with the same per predictor), `differences` to the baseline, and `notes`.
        What is undefined is None, and `undefined` says why.

    Raises:
        MedmdError: the split or a column is not in the table, or no case of the split has a target.
    """
    check_predictions(table)
    rows, notes = rows_of_split(table, split)
    rows = _with_constant(rows, table, constant)
    predictors = existing(rows, predictors, predictor_columns(rows))
    references = existing(rows, references, reference_columns(rows))
    columns = {name: rows[name].to_numpy(np.float64) for name in (*predictors, *references)}
    target = rows["target"].to_numpy(np.float64)
    patients = rows["patient_id"].to_numpy()
    bootstrap = {"replicates": replicates, "seed": derive_seed(seed, "evaluation", split), "level": level}
    is_md = is_mean_deviation(target_name, unit)
    strata = severity_strata(target, target_name=target_name, unit=unit)
    return {
        "split": split,
        "target": {"name": target_name, "unit": unit, **_describe(target, patients)},
        "bootstrap": {**bootstrap, "resampled": "patients", "interval": "percentile"},
        "predictors": predictors,
        "references": references,
        "overall": _overall(target, columns, patients, bootstrap, challenge=is_md),
        "stratified_by": "severity" if is_md else "quantile",
        "severity": [
            {"name": stratum.name, "low": _number(stratum.low), "high": _number(stratum.high)}
            | _group(stratum.rows, target, columns, patients, bootstrap, _STRATUM_STATISTICS)
            for stratum in strata
        ],
        "laterality": _lateralities(rows["laterality"], target, columns, patients, bootstrap),
        "differences": _differences(target, columns, predictors, patients, bootstrap, baseline),
        "notes": notes,
    }


def rows_of_split(table: pd.DataFrame, split: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one split, and what a reader must know of them.

    Raises:
        MedmdError: there are none, or none has a target.
    """
    rows = table[table["split"] == split].reset_index(drop=True)
    if len(rows) == 0:
        found = ", ".join(sorted(set(table["split"].astype(str)))) or "none"
        msg = f"predictions: no case in split {split!r}. Found: {found}. Choose one of them with --split."
        raise MedmdError(msg)
    if "laterality" not in rows.columns:
        rows["laterality"] = ""
    notes = []
    missing = int(rows["target"].isna().sum())
    if missing == len(rows):
        msg = f"predictions: none of the {missing} cases in split {split!r} has a target; metrics need measured values."
        raise MedmdError(msg)
    if missing:
        notes.append(f"{missing} of {len(rows)} cases have no target and are left out.")
    patients = rows.loc[rows["target"].notna(), "patient_id"].nunique()
    if patients < _FEW_PATIENTS:
        notes.append(f"{patients} patients only: bootstrap intervals from fewer than {_FEW_PATIENTS} are too narrow.")
    elsewhere = set(table.loc[table["split"] != split, "patient_id"]) & set(rows["patient_id"])
    if elsewhere:
        notes.append(f"{len(elsewhere)} patients of this split stand in another split too: the result is too good.")
    return rows, notes


def _with_constant(rows: pd.DataFrame, table: pd.DataFrame, constant: float | None) -> pd.DataFrame:
    if _CONSTANT in rows.columns:
        return rows
    training = table.loc[table["split"] == "training", "target"].dropna()
    if constant is None and len(training):
        constant = float(training.mean())
    return rows if constant is None else rows.assign(**{_CONSTANT: float(constant)})


def existing(rows: pd.DataFrame, wanted: Sequence[str] | None, found: list[str]) -> list[str]:
    """The columns that are wanted, or those that were found, in the order of a report.

    Raises:
        MedmdError: a wanted one is not there.
    """
    unknown = [name for name in wanted or () if name not in rows.columns]
    if unknown:
        msg = f"predictions: no column {', '.join(unknown)}. Found: {', '.join(found) or 'none'}."
        raise MedmdError(msg)
    return ordered(found if wanted is None else list(wanted))


def _describe(target: NDArray[np.float64], patients: NDArray[Any]) -> dict[str, Any]:
    kept = ~np.isnan(target)
    values = target[kept]
    return {
        "n": len(values),
        "patients": len(set(patients[kept])),
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "variance": float(values.var()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def _overall(
    target: NDArray[np.float64],
    columns: Mapping[str, NDArray[np.float64]],
    patients: NDArray[Any],
    bootstrap: dict[str, Any],
    *,
    challenge: bool,
) -> dict[str, Any]:
    everyone = np.ones(len(target), dtype=bool)
    metrics = _group(everyone, target, columns, patients, bootstrap, STATISTICS)["metrics"]
    for name, prediction in columns.items():
        entry = metrics[name]
        entry["bland_altman"] = _numbers(bland_altman(target, prediction))
        entry["undefined"] = undefined_reasons(target, prediction)
        if nearly_constant := _is_nearly_constant(target, prediction):
            entry["undefined"].setdefault("calibration", _TOO_NARROW)
        line = dict.fromkeys(("slope", "intercept"), float("nan"))
        entry["calibration"] = _numbers(line if nearly_constant else calibration_line(target, prediction))
        if challenge and entry["r2"]["estimate"] is not None:
            entry["smape"] = smape(target, prediction)
            entry["stage_score"] = stage_challenge_score(target, prediction)
    return metrics


def _is_nearly_constant(target: NDArray[np.float64], prediction: NDArray[np.float64]) -> bool:
    both = ~(np.isnan(target) | np.isnan(prediction))
    return bool(both.any() and prediction[both].std() < _LEAST_SPREAD * target[both].std())


def _group(
    chosen: NDArray[np.bool_],
    target: NDArray[np.float64],
    columns: Mapping[str, NDArray[np.float64]],
    patients: NDArray[Any],
    bootstrap: dict[str, Any],
    statistics: Sequence[str],
) -> dict[str, Any]:
    """Metrics with intervals of one group of cases."""
    predictions = {name: values[chosen] for name, values in columns.items()}
    kept = chosen & ~np.isnan(target)
    intervals = clustered_bootstrap(target[chosen], predictions, patients[chosen], statistics=statistics, **bootstrap)
    metrics = {name: entry_of(by_statistic) for name, by_statistic in intervals.items()}
    return {"n": int(kept.sum()), "patients": len(set(patients[kept])), "metrics": metrics}


def entry_of(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    """The intervals of one predictor as JSON values."""
    first = next(iter(intervals.values()))
    return {"n": first.n, "patients": first.patients, "dropped": first.dropped} | {
        name: _numbers({"estimate": value.estimate, "low": value.low, "high": value.high})
        for name, value in intervals.items()
    }


def _lateralities(
    sides: pd.Series,
    target: NDArray[np.float64],
    columns: Mapping[str, NDArray[np.float64]],
    patients: NDArray[Any],
    bootstrap: dict[str, Any],
) -> list[dict[str, Any]]:
    groups = []
    for side, name in _SIDES.items():
        chosen = (sides == side).to_numpy(dtype=bool)
        if chosen.any():
            group = _group(chosen, target, columns, patients, bootstrap, ("r2", *_STRATUM_STATISTICS))
            groups.append({"name": name, "laterality": side} | group)
    return groups


def _differences(
    target: NDArray[np.float64],
    columns: Mapping[str, NDArray[np.float64]],
    predictors: Sequence[str],
    patients: NDArray[Any],
    bootstrap: dict[str, Any],
    baseline: str | None,
) -> dict[str, Any]:
    if baseline is None and columns:
        baseline = "fusion" if "fusion" in columns else next(iter(predictors or columns))
    if baseline is not None and baseline not in columns:
        msg = f"predictions: baseline {baseline!r} is not a predictor. Found: {', '.join(columns)}."
        raise MedmdError(msg)
    if baseline is None or len(columns) < 2:
        return {"baseline": baseline, "of": {}}
    found = paired_difference(
        target, columns, patients, baseline=baseline, statistics=_DIFFERENCE_STATISTICS, **bootstrap
    )
    fields = ("estimate", "low", "high", "p_value")
    of = {
        name: {"n": by["mae"].n, "patients": by["mae"].patients}
        | {key: _numbers({field: getattr(value, field) for field in fields}) for key, value in by.items()}
        for name, by in found.items()
    }
    return {"baseline": baseline, "of": of}


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return float(value) if np.isfinite(value) else None
