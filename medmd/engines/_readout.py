"""What a network answers, as columns of a table: numbers, classes with their probabilities, or several tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from medmd.metrics import classification_metrics, probability_columns, regression_metrics
from medmd.networks import Predictions

KEPT_METRICS = ("mse", "mae", "r2")
KEPT_CLASS_METRICS = ("log_loss", "accuracy", "balanced_accuracy")
TASK = "task_"


def columns_of(network: Any, predictions: Predictions, target: Tensor) -> dict[str, Tensor]:
    """One (B,) column a name: `target`, `fusion`, and one a modality.

    Of classes a prediction is the index of the most probable class, and `<name>_p0`, `<name>_p1`, … are the
    probabilities; all are NaN where the modality is absent. Of several tasks `task_<task>_target` and `task_<task>`
    hold each task's, and `target` and `fusion` repeat those of the first; there are no columns for modalities.
    """
    tasks = getattr(network, "tasks", None)
    if tasks:
        return _task_columns(predictions, target)
    found = {"target": target, **_answer("fusion", predictions.fusion)}
    for name in network.modalities:
        found |= _answer(name, predictions.unimodal[name])
    return found


def _task_columns(predictions: Predictions, target: Tensor) -> dict[str, Tensor]:
    # Of cases to be predicted no target is known, and none comes with the batch.
    known = target if target.ndim == 2 else target.new_full((len(target), len(predictions.unimodal)), torch.nan)
    found: dict[str, Tensor] = {}
    for place, (name, output) in enumerate(predictions.unimodal.items()):
        own = {f"{TASK}{name}_target": known[:, place], **_answer(f"{TASK}{name}", output)}
        if not place:
            found |= {_of_first(key, name): value for key, value in own.items()}
        found |= own
    return found


def _of_first(column: str, task: str) -> str:
    rest = column.removeprefix(f"{TASK}{task}")
    return "target" if rest == "_target" else f"fusion{rest}"


def _answer(name: str, output: Tensor) -> dict[str, Tensor]:
    if output.ndim == 1:
        return {name: output}
    probabilities = torch.softmax(output.float(), dim=1)
    # The index of a row of NaN is some class.
    index = torch.where(output.isnan().any(dim=1), torch.nan, output.argmax(dim=1).float())
    return {name: index, **{f"{name}_p{place}": column for place, column in enumerate(probabilities.T)}}


def measure(table: pd.DataFrame, here: Mapping[str, np.ndarray], prefix: str) -> dict[str, float]:
    """The metrics of every head over the rows that it saw and whose target is known, as `<prefix>_<head>_<metric>`.

    Args:
        table: columns as `columns_of` names them.
        here: by head, which rows it saw.
        prefix: put before the names.

    Returns:
        Of numbers mse, mae and r2, of classes log_loss, accuracy and balanced_accuracy. Of several tasks also
        `<prefix>_tasks_loss`: the mean over the tasks of the log loss of classes and of 1 - R2 of numbers.
    """
    found: dict[str, float] = {}
    for head, rows in here.items():
        target = f"{head}_target" if head.startswith(TASK) else "target"
        found |= _measure_head(table[rows], head, target, f"{prefix}_{head.removeprefix(TASK)}")
    tasks = [head.removeprefix(TASK) for head in here if head.startswith(TASK)]
    losses = [_task_loss(found, f"{prefix}_{name}") for name in tasks]
    return {**found, f"{prefix}_tasks_loss": float(np.mean(losses))} if tasks else found


def _task_loss(found: Mapping[str, float], name: str) -> float:
    return found[f"{name}_log_loss"] if f"{name}_log_loss" in found else 1 - found.get(f"{name}_r2", float("nan"))


def _measure_head(table: pd.DataFrame, head: str, target: str, name: str) -> dict[str, float]:
    probabilities = probability_columns(table, head)
    known = table[table[target].notna() & (table[target] >= 0)] if probabilities else table[table[target].notna()]
    if len(known) < 2:
        return {}
    if probabilities:
        metrics = classification_metrics(known[target], known[probabilities], known[head])
        return {f"{name}_{key}": metrics[key] for key in KEPT_CLASS_METRICS}
    metrics = regression_metrics(known[target].to_numpy(), known[head].to_numpy(), on_undefined="ignore")
    return {f"{name}_{key}": metrics[key] for key in KEPT_METRICS}
