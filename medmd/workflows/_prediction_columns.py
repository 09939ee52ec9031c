"""From what a network answers and a datalist knows to the columns of the predictions table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from medmd.data import Case, TargetSpec
from medmd.metrics import probability_columns


def case_columns(rows: list[Case], split: str, target: TargetSpec | None = None) -> pd.DataFrame:
    """The columns of the predictions table that say whose row it is, and the measured target, or those of all tasks."""
    tasks = () if target is None else target.tasks
    return pd.DataFrame(
        {
            "case_id": [case.case_id for case in rows],
            "patient_id": [case.patient_id for case in rows],
            "split": split,
            "laterality": [case.laterality or "" for case in rows],
            "target": [_of_task(case.target, 0) for case in rows],
            **{
                f"task_{task.name}_target": [_of_task(case.target, place) for case in rows]
                for place, task in enumerate(tasks)
            },
        }
    )


def _of_task(target: Any, place: int) -> Any:
    return target[place] if isinstance(target, Sequence) else target


def predictor_columns_of(found: pd.DataFrame, modalities: Iterable[str]) -> pd.DataFrame:
    """The predictions among the columns of `predict_table`, under the names of the predictions table."""
    names = {name: f"unimodal_{name}" for name in modalities if name in found.columns}
    tasks = [name for name in found.columns if name.startswith("task_") and not name.endswith("_target")]
    return renamed(found, {"fusion": "fusion", **names}).join(found[tasks])


def renamed(found: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The columns `names` under other names, each with its probabilities."""
    columns = dict(names)
    for old, new in names.items():
        columns |= {column: new + column.removeprefix(old) for column in probability_columns(found, old)}
    return found[list(columns)].rename(columns=columns)


def late_average(found: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The mean of the predictions `names`, or of their probabilities; a case is averaged over those it has."""
    classes = len(probability_columns(found, names[0]))
    if not classes:
        return pd.DataFrame({"late_average": found[list(names)].mean(axis=1)})
    means = {
        f"late_average_p{place}": found[[f"{name}_p{place}" for name in names]].mean(axis=1) for place in range(classes)
    }
    table = pd.DataFrame(means)
    table.insert(0, "late_average", table.to_numpy().argmax(axis=1).astype(float))
    return table


def constant_columns(statistics: Mapping[str, Any], target: TargetSpec) -> dict[str, float]:
    """The prediction that looks at nothing: the training mean, or the most common class; of several tasks none."""
    if target.kind == "multi":
        return {}
    if target.kind != "class":
        return {"reference_constant": statistics["mean"]}
    # With each class counted once more: a probability of 0 for what comes true has no finite log loss.
    frequencies = list(statistics["start"])
    constant = {"reference_constant": float(frequencies.index(max(frequencies)))}
    return constant | {f"reference_constant_p{place}": value for place, value in enumerate(frequencies)}


def reference_columns_of(rows: list[Case]) -> pd.DataFrame:
    """The references that a datalist holds, such as a phantom's ceilings, as `reference_<name>`."""
    names = sorted({name for case in rows for name in case.reference})
    columns = {f"reference_{name}": [case.reference.get(name, float("nan")) for case in rows] for name in names}
    return pd.DataFrame(columns, index=range(len(rows)))
