"""All numbers of a report on classes, from one table of predictions and at once for the whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from medmd.metrics import clustered_bootstrap_classes, confusion_matrix, probability_columns
from medmd.report._evaluate import Evaluation, entry_of, existing, rows_of_split
from medmd.report._tables import check_predictions, predictor_columns, reference_columns
from medmd.utils import MedmdError, derive_seed


def evaluate_classes(
    table: pd.DataFrame,
    *,
    classes: Sequence[str] = (),
    split: str = "testing",
    predictors: Sequence[str] | None = None,
    target_name: str = "class",
    seed: int = 0,
    replicates: int = 2000,
    level: float = 0.95,
) -> Evaluation:
    """Evaluate every predictor of classes of a table on one split.

    Args:
        table: see `read_predictions`; a predictor holds indices of classes, `<predictor>_p0`, … their probabilities.
        classes: names of the classes in the order of their indices; their numbers by default.
        split: which rows.
        predictors: columns; None for all that have probabilities.
        target_name: of what is predicted.
        seed: of the bootstrap.
        replicates: resamples of the bootstrap.
        level: coverage of the intervals.

    Returns:
        A dict that JSON can hold: `split`, `kind` ("class"), `target` (name, classes, n, patients, counts),
        `bootstrap`, `predictors`, `references`, `overall` ``{predictor: {n, patients, dropped, <statistic>: {estimate,
        low, high}, confusion}}`` with the statistics of `medmd.metrics.CLASS_STATISTICS` and rows of `confusion` for
        the true classes, and `notes`. What is undefined is None.

    Raises:
        MedmdError: the split or a column is not in the table, no case of the split has a class, or a predictor has
            probabilities of another number of classes.
    """
    check_predictions(table)
    rows, notes = rows_of_split(table, split)
    predictors = existing(rows, predictors, [name for name in predictor_columns(rows) if _has_classes(rows, name)])
    references = existing(rows, None, [name for name in reference_columns(rows) if _has_classes(rows, name)])
    names = list(classes) or _numbered(rows, predictors)
    columns = {name: _prediction(rows, name, len(names)) for name in (*predictors, *references)}
    target, patients = rows["target"].to_numpy(np.float64), rows["patient_id"].to_numpy()
    bootstrap: dict[str, Any] = {
        "replicates": replicates,
        "seed": derive_seed(seed, "evaluation", split),
        "level": level,
    }
    intervals = clustered_bootstrap_classes(target, columns, patients, **bootstrap)
    known = ~np.isnan(target)
    return {
        "split": split,
        "kind": "class",
        "target": {
            "name": target_name,
            "classes": names,
            "n": int(known.sum()),
            "patients": len(set(patients[known])),
            "counts": np.bincount(target[known].astype(int), minlength=len(names)).tolist(),
        },
        "bootstrap": {**bootstrap, "resampled": "patients", "interval": "percentile"},
        "predictors": predictors,
        "references": references,
        "overall": {
            name: {
                **entry_of(found),
                "confusion": confusion_matrix(target, columns[name][1], columns[name][0]).tolist(),
            }
            for name, found in intervals.items()
        },
        "notes": notes,
    }


def _has_classes(rows: pd.DataFrame, name: str) -> bool:
    return len(probability_columns(rows, name)) > 1


def _numbered(rows: pd.DataFrame, predictors: Sequence[str]) -> list[str]:
    count = len(probability_columns(rows, predictors[0])) if predictors else 0
    return [str(index) for index in range(count)]


def _prediction(rows: pd.DataFrame, name: str, classes: int) -> tuple[Any, Any]:
    probabilities = probability_columns(rows, name)
    if len(probabilities) != classes:
        msg = f"predictions: {name} has {len(probabilities)} probabilities, expected one for each of {classes} classes."
        raise MedmdError(msg)
    return rows[name].to_numpy(np.float64), rows[probabilities].to_numpy(np.float64)
