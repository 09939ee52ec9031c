"""The text and tables of a report on classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medmd.metrics import probability_columns
from medmd.report._document import Block, Heading, Paragraph, Table
from medmd.report._evaluate import Evaluation
from medmd.report._figures import main_predictor
from medmd.report._format import number, with_interval
from medmd.report._sections import Label

_WORST = 10
_HEADER = ("predictor", "accuracy", "balanced accuracy", "macro F1", "quadratic kappa", "log loss", "n")
_KEYS = ("accuracy", "balanced_accuracy", "macro_f1", "kappa", "log_loss")


def class_sections(evaluation: Evaluation, label: Label) -> list[Block]:
    """What was measured, on whom, and all metrics of every predictor."""
    target = evaluation["target"]
    level = f"{100 * evaluation['bootstrap']['level']:g} %"
    found = ", ".join(f"{name} {count}" for name, count in zip(target["classes"], target["counts"], strict=True))
    return [
        Heading("Result"),
        Paragraph(
            f"Split {evaluation['split']!r}: {target['n']} cases of {target['patients']} patients; {found}. Every "
            "number comes from one table of predictions for the whole split. Quadratic kappa has a meaning only for "
            f"classes that have an order. Brackets: {level} intervals by {evaluation['bootstrap']['replicates']} "
            "bootstrap samples of patients."
        ),
        *(Paragraph(text, note=True) for text in evaluation["notes"]),
        Table(_HEADER, class_rows(evaluation, label)),
        *_confusion(evaluation, label),
    ]


def class_rows(evaluation: Evaluation, label: Label) -> list[list[str]]:
    """A row a predictor for the table of metrics."""
    rows = []
    for name in [*evaluation["predictors"], *evaluation["references"]]:
        entry = evaluation["overall"][name]
        count = f"{entry['n']} ({entry['dropped']} without)" if entry["dropped"] else str(entry["n"])
        rows.append([label(name), *(with_interval(entry[key], 3) for key in _KEYS), count])
    return rows


def mistakes_section(table: pd.DataFrame, evaluation: Evaluation, label: Label) -> list[Block]:
    """The wrong answers that were given with most confidence, by pseudonym."""
    main = main_predictor(evaluation)
    if main is None:
        return []
    rows = table[table["split"] == evaluation["split"]].dropna(subset=["target", main])
    wrong = rows[rows[main] != rows["target"]]
    sure = wrong[probability_columns(table, main)].max(axis=1).to_numpy(np.float64)
    # Equally sure ones in the order of their pseudonyms, whatever the order of the table.
    order = np.lexsort((wrong["case_id"].astype(str).to_numpy(), -sure))[:_WORST]
    names = evaluation["target"]["classes"]
    columns = (wrong[name].to_numpy()[order] for name in ("case_id", "target", main))
    cells = [
        [str(case), names[int(true)], names[int(guess)], number(float(probability))]
        for case, true, guess, probability in zip(*columns, sure[order], strict=True)
    ]
    header = ["case (pseudonym)", "true", "predicted", "probability"]
    return [Heading(f"Surest mistakes: {label(main)}"), Table(header, cells, texts=3)] if cells else []


def task_rows(evaluations: Mapping[str, Evaluation]) -> list[list[str]]:
    """A row a task: what was predicted, and how well by its main measure."""
    return [[name, *_main_measure(found), str(found["target"]["n"])] for name, found in evaluations.items()]


def _main_measure(evaluation: Evaluation) -> Sequence[str]:
    entry: Mapping[str, Any] = evaluation["overall"]["fusion"]
    if evaluation.get("kind") == "class":
        return "accuracy", with_interval(entry["accuracy"], 3), with_interval(entry["log_loss"], 3)
    return "R2", with_interval(entry["r2"], 3), with_interval(entry["mae"])


def _confusion(evaluation: Evaluation, label: Label) -> list[Block]:
    main = main_predictor(evaluation)
    if main is None:
        return []
    names = evaluation["target"]["classes"]
    rows = [
        [name, *(str(count) for count in counts)]
        for name, counts in zip(names, evaluation["overall"][main]["confusion"], strict=True)
    ]
    return [Heading(f"Confusion matrix: {label(main)}"), Table(["true / predicted", *names], rows)]
