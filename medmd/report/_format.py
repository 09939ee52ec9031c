"""The result as a table of text: what is printed at the end of a training and what the report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medmd.report._evaluate import Evaluation
from medmd.report._labels import predictor_label

_UNDEFINED = "n/a"


def format_table(
    evaluation: Evaluation,
    predictors: Sequence[str] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    method: str | None = None,
    markdown: bool = False,
) -> str:
    """R2 with its interval, RMSE, MAE and n of every predictor and reference.

    Args:
        evaluation: from `evaluate_predictions`.
        predictors: columns and their order; None for all predictors and references.
        labels: names of columns that win over the defaults.
        method: name of the method that made the fused prediction, as "Re-M3Dr".
        markdown: a Markdown table instead of fixed-width ASCII.

    Returns:
        Lines without a final line break. A column `without` appears when a predictor lacks cases. Of classes the
        measures are accuracy, balanced accuracy, quadratic kappa and log loss; of several tasks tables follow one
        another.
    """
    if "tasks" in evaluation:
        tables = {
            task: format_table(found, labels=labels, method=method, markdown=markdown)
            for task, found in evaluation["tasks"].items()
        }
        return "\n\n".join(f"{task}:\n{text}" for task, text in tables.items())
    names = list(predictors or [*evaluation["predictors"], *evaluation["references"]])
    header, row = _columns(evaluation)
    rows = [row(evaluation["overall"][name], predictor_label(name, labels, method=method)) for name in names]
    if any(evaluation["overall"][name]["dropped"] for name in names):
        header.append("without")
        rows = [[*row, str(evaluation["overall"][name]["dropped"])] for row, name in zip(rows, names, strict=True)]
    return markdown_table(header, rows) if markdown else text_table(header, rows)


def _columns(evaluation: Evaluation) -> tuple[list[str], Callable[[Mapping[str, Any], str], list[str]]]:
    if evaluation.get("kind") == "class":
        first = f"accuracy [{_percent(evaluation)} CI]"
        return ["predictor", first, "balanced", "kappa", "log loss", "n"], _class_row
    unit = evaluation["target"]["unit"]
    error = f" [{unit}]" if unit else ""
    return ["predictor", f"R2 [{_percent(evaluation)} CI]", f"RMSE{error}", f"MAE{error}", "n"], _row


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of fixed width, the first to the left, the others to the right."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([_fixed(header, widths), rule, *(_fixed(row, widths) for row in rows)])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A Markdown table, the first `texts` columns to the left, the others to the right."""
    rule = ["---" if column < texts else "---:" for column in range(len(header))]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (header, rule, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 2) -> str:
    """A number for a reader; "n/a" where it is undefined."""
    if value is None:
        return _UNDEFINED
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def with_interval(entry: Mapping[str, Any], digits: int = 2) -> str:
    """An estimate and its interval, as "0.63 [0.51, 0.72]"."""
    estimate = number(entry["estimate"], digits)
    if entry["low"] is None:
        return estimate
    return f"{estimate} [{number(entry['low'], digits)}, {number(entry['high'], digits)}]"


def _row(entry: Mapping[str, Any], label: str) -> list[str]:
    errors = [number(entry[name]["estimate"]) for name in ("rmse", "mae")]
    return [label, with_interval(entry["r2"], 3), *errors, str(entry["n"])]


def _class_row(entry: Mapping[str, Any], label: str) -> list[str]:
    others = [number(entry[name]["estimate"], 3) for name in ("balanced_accuracy", "kappa", "log_loss")]
    return [label, with_interval(entry["accuracy"], 3), *others, str(entry["n"])]


def _fixed(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()


def _percent(evaluation: Evaluation) -> str:
    return f"{100 * evaluation['bootstrap']['level']:g} %"
