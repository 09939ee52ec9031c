"""The report as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.report._document import Block, Heading, Image, Paragraph, Table, to_html, to_markdown
from medmd.report._evaluate import Evaluation, evaluate_predictions
from medmd.report._evaluate_classes import evaluate_classes
from medmd.report._figures import Picture, draw_figures
from medmd.report._inputs import ReportInputs, load_inputs
from medmd.report._labels import predictor_label
from medmd.report._sections import (
    Label,
    data_section,
    difference_section,
    failure_section,
    result_section,
    run_section,
    strata_sections,
)
from medmd.report._sections_classes import class_sections, mistakes_section, task_rows
from medmd.report._tables import task_table
from medmd.utils import MedmdError, write_atomic, write_json

_FIGURES = "figures"
_RESEARCH = "For research only: not a medical device, not for diagnosis or treatment. Numbers hold for this split; "
_USE = _RESEARCH + (
    "the mix of mild and severe cases decides MAE and R2, so compare with other studies by severity only."
)
_USE_CLASSES = _RESEARCH + "how common the classes are decides accuracy, so compare with other studies class by class."


def write_report(
    source: str | Path | pd.DataFrame,
    history: pd.DataFrame | None = None,
    header: Mapping[str, Any] | None = None,
    out_dir: str | Path | None = None,
    *,
    run: Mapping[str, Any] | None = None,
    split: str = "testing",
    predictors: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    seed: int = 0,
    replicates: int = 2000,
    created: str | None = None,
) -> Evaluation:
    """Evaluate a table and write `metrics.json`, `report.md`, `report.html` and `figures/*.png`.

    The header's target says whether the table holds numbers, classes or several tasks; of tasks each has a report in a
    folder of its name below, and the one above compares them.

    Equal inputs give equal bytes: no clock time is written unless passed. The page holds its figures and needs no
    network. Files of the same names are replaced; nothing is deleted.

    Args:
        source: folder of a run (see `load_inputs`), path of a table of predictions, or the table.
        history: numbers of the training; wins over the folder's.
        header: header of the datalist; wins over the folder's.
        out_dir: where to write; None for `report` beside the table or in the run's folder.
        run: versions, seeds, method; wins over the folder's. Paths and names of machines in it are left out.
        split: which split to evaluate.
        predictors: columns; None for all.
        labels: names of columns that win over the defaults.
        seed: of the bootstrap.
        replicates: resamples of the bootstrap.
        created: date or time to show, or None.

    Returns:
        What `metrics.json` holds; see `evaluate_predictions` and `evaluate_classes`; of several tasks `split`, `kind`,
        `notes` and `tasks`, by name of the task one of the two.

    Raises:
        MedmdError: an input cannot be used, or a table was passed without `out_dir`.
    """
    inputs = _inputs(source, history, header, run)
    folder = _folder(source, out_dir)
    options: dict[str, Any] = {"split": split, "predictors": predictors, "seed": seed, "replicates": replicates}
    if inputs.tasks:
        return _write_tasks(inputs, folder, options, created)
    evaluation = _evaluate(inputs, options)

    def label(column: str) -> str:
        return predictor_label(column, labels, method=inputs.method)

    pictures = draw_figures(inputs.table, evaluation, history=inputs.history, label=label)
    title = f"Evaluation: {inputs.header.get('name') or 'predictions'}, split {split}"
    blocks = _blocks(inputs, evaluation, pictures, label, created)
    for picture in pictures:
        write_atomic(folder / _FIGURES / f"{picture.name}.png", picture.content)
    write_json(folder / "metrics.json", evaluation)
    write_atomic(folder / "report.md", to_markdown(title, blocks))
    write_atomic(folder / "report.html", to_html(title, blocks))
    return evaluation


def _evaluate(inputs: ReportInputs, options: Mapping[str, Any]) -> Evaluation:
    name, unit = inputs.target
    if inputs.kind == "class":
        classes = inputs.header["target"].get("classes", ())
        return evaluate_classes(inputs.table, classes=classes, target_name=name, **options)
    return evaluate_predictions(inputs.table, target_name=name, unit=unit, **options)


def _write_tasks(inputs: ReportInputs, folder: Path, options: Mapping[str, Any], created: str | None) -> Evaluation:
    """A report a task below the folder, and one that compares them."""
    found = {}
    for task in inputs.tasks:
        name, header = str(task["name"]), {**inputs.header, "target": task}
        table, run = task_table(inputs.table, name), inputs.run
        found[name] = write_report(
            table, inputs.history, header, folder / name, run=run, created=created, **{**options, "predictors": None}
        )
    split = str(options["split"])
    evaluation: Evaluation = {
        "split": split,
        "kind": "multi",
        "tasks": found,
        "notes": list(dict.fromkeys(note for each in found.values() for note in each["notes"])),
    }
    title = f"Evaluation: {inputs.header.get('name') or 'predictions'}, split {split}, {len(found)} tasks"
    header_row = ["task", "measure", "value", "log loss or MAE", "n"]
    blocks: list[Block] = [
        Paragraph(_USE_CLASSES, note=True),
        *(Paragraph(text, note=True) for text in evaluation["notes"]),
        Paragraph("Each task has a report of its own in the folder of its name."),
        Table(header_row, task_rows(found), texts=2),
        *data_section(inputs.header),
        *run_section(inputs.run),
    ]
    write_json(folder / "metrics.json", evaluation)
    write_atomic(folder / "report.md", to_markdown(title, blocks))
    write_atomic(folder / "report.html", to_html(title, blocks))
    return evaluation


def _inputs(
    source: str | Path | pd.DataFrame,
    history: pd.DataFrame | None,
    header: Mapping[str, Any] | None,
    run: Mapping[str, Any] | None,
) -> ReportInputs:
    inputs = ReportInputs(source) if isinstance(source, pd.DataFrame) else load_inputs(source)
    return replace(
        inputs,
        history=inputs.history if history is None else history,
        header=inputs.header if header is None else header,
        run=inputs.run if run is None else run,
    )


def _folder(source: str | Path | pd.DataFrame, out_dir: str | Path | None) -> Path:
    if out_dir is not None:
        return Path(out_dir)
    if isinstance(source, pd.DataFrame):
        msg = "write_report: out_dir is missing. Expected a folder when a table is passed instead of a path."
        raise MedmdError(msg)
    source = Path(source)
    return (source if source.is_dir() else source.parent) / "report"


def _blocks(
    inputs: ReportInputs, evaluation: Evaluation, pictures: Sequence[Picture], label: Label, created: str | None
) -> list[Block]:
    figures = [Image(f"{_FIGURES}/{picture.name}.png", picture.caption, picture.content) for picture in pictures]
    return [
        *([Paragraph(f"Created {created}.")] if created else []),
        Paragraph(_USE_CLASSES if evaluation.get("kind") == "class" else _USE, note=True),
        *_measured(evaluation, label),
        Heading("Figures"),
        *figures,
        *_failures(inputs.table, evaluation, label),
        *data_section(inputs.header),
        *run_section(inputs.run),
    ]


def _measured(evaluation: Evaluation, label: Label) -> list[Block]:
    if evaluation.get("kind") == "class":
        return class_sections(evaluation, label)
    return [
        *result_section(evaluation, label),
        *difference_section(evaluation, label),
        *strata_sections(evaluation, label),
    ]


def _failures(table: pd.DataFrame, evaluation: Evaluation, label: Label) -> list[Block]:
    section = mistakes_section if evaluation.get("kind") == "class" else failure_section
    return section(table, evaluation, label)
