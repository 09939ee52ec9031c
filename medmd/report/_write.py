"""The report as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.report._document import Block, Heading, Image, Paragraph, to_html, to_markdown
from medmd.report._evaluate import Evaluation, evaluate_predictions
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
from medmd.utils import MedmdError, write_atomic, write_json

_FIGURES = "figures"
_USE = (
    "For research only: not a medical device, not for diagnosis or treatment. Numbers hold for this split; the mix of "
    "mild and severe cases decides MAE and R2, so compare with other studies by severity only."
)


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
        What `metrics.json` holds; see `evaluate_predictions`.

    Raises:
        MedmdError: an input cannot be used, or a table was passed without `out_dir`.
    """
    inputs = _inputs(source, history, header, run)
    folder = _folder(source, out_dir)
    target_name, unit = inputs.target
    evaluation = evaluate_predictions(
        inputs.table,
        split=split,
        predictors=predictors,
        target_name=target_name,
        unit=unit,
        seed=seed,
        replicates=replicates,
    )

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
        Paragraph(_USE, note=True),
        *result_section(evaluation, label),
        *difference_section(evaluation, label),
        *strata_sections(evaluation, label),
        Heading("Figures"),
        *figures,
        *failure_section(inputs.table, evaluation, label),
        *data_section(inputs.header),
        *run_section(inputs.run),
    ]
