"""The text and tables of a report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medmd.report._document import Block, Heading, Paragraph, Table
from medmd.report._evaluate import Evaluation
from medmd.report._figures import main_predictor
from medmd.report._format import number, with_interval

Label = Callable[[str], str]

_WORST = 10
_SECTIONS = ("name", "version", "description", "source", "converter", "created_with", "counts")
# Where a machine, a person or a folder could stand; a report is handed on.
_PRIVATE = ("path", "dir", "folder", "host", "user", "root", "file", "command", "argv", "uri", "cwd", "email")
# "/home/…", "~/…", "C:\\…" at the start of a word; the address of a public data set is none of these.
_ABSOLUTE_PATH = re.compile(r"(?:^|[\s'\",=(])(?:/|~|[A-Za-z]:\\|\\\\)")


def result_section(evaluation: Evaluation, label: Label) -> list[Block]:
    """What was measured, on whom, and all metrics of every predictor."""
    target, unit = evaluation["target"], _unit(evaluation)
    level = f"{100 * evaluation['bootstrap']['level']:g} %"
    return [
        Heading("Result"),
        Paragraph(
            f"Split {evaluation['split']!r}: {target['n']} cases of {target['patients']} patients. Measured values: "
            f"mean {number(target['mean'])}, SD {number(target['sd'])}, from {number(target['min'])} to "
            f"{number(target['max'])}{unit}. Every number comes from one table of predictions for the whole split: "
            f"MSE = (1 - R2) x {number(target['variance'], 3)} in every row without missing predictions. "
            f"Brackets: {level} intervals by {evaluation['bootstrap']['replicates']} bootstrap samples of patients."
        ),
        *(Paragraph(text, note=True) for text in evaluation["notes"]),
        _error_table(evaluation, label),
        _relation_table(evaluation, label),
        _agreement_table(evaluation, label),
        *_undefined(evaluation, label),
    ]


def strata_sections(evaluation: Evaluation, label: Label) -> list[Block]:
    """Errors by severity and by laterality."""
    by = "severity" if evaluation["stratified_by"] == "severity" else "quantiles of the measured value"
    blocks: list[Block] = [Heading(f"By {by}"), _strata_table(evaluation["severity"], evaluation, label)]
    if evaluation["laterality"]:
        blocks += [Heading("By laterality"), _strata_table(evaluation["laterality"], evaluation, label)]
    return blocks


def difference_section(evaluation: Evaluation, label: Label) -> list[Block]:
    """Differences to the baseline on the same resamples of patients."""
    differences = evaluation["differences"]
    if not differences["of"]:
        return []
    rows = [
        [
            label(name),
            *(with_interval(by[key], digits) for key, digits in (("mae", 2), ("rmse", 2), ("r2", 3))),
            number(by["mae"]["p_value"], 4),
            str(by["n"]),
        ]
        for name, by in differences["of"].items()
    ]
    unit = _bracket(evaluation)
    return [
        Heading(f"Compared with {label(differences['baseline'])}"),
        Paragraph(
            "Each row minus the baseline, both on the same resampled patients and on the cases that both predict. "
            "Not corrected for the number of comparisons."
        ),
        Table(["predictor", f"MAE{unit}", f"RMSE{unit}", "R2", "p (MAE)", "n"], rows),
    ]


def failure_section(table: pd.DataFrame, evaluation: Evaluation, label: Label) -> list[Block]:
    """The cases with the largest errors, by pseudonym."""
    main = main_predictor(evaluation)
    if main is None:
        return []
    rows = table[table["split"] == evaluation["split"]].dropna(subset=["target", main])
    error = (rows[main] - rows["target"]).to_numpy(np.float64)
    # Equal errors in the order of their pseudonyms, whatever the order of the table.
    worst = np.lexsort((rows["case_id"].astype(str).to_numpy(), -np.abs(error)))[:_WORST]
    cases = zip(rows["case_id"], rows["laterality"], rows["target"], rows[main], error, strict=True)
    cells = [[str(case), str(side or ""), *(number(value) for value in values)] for case, side, *values in cases]
    shown = [cells[at] for at in worst]
    unit = _bracket(evaluation)
    header = ["case (pseudonym)", "eye", f"measured{unit}", f"predicted{unit}", f"error{unit}"]
    return [Heading(f"Largest errors: {label(main)}"), Table(header, shown, texts=2)] if shown else []


def data_section(header: Mapping[str, Any]) -> list[Block]:
    """What the datalist says about itself."""
    filled = [(key, _value(header[key])) for key in _SECTIONS if header.get(key) not in (None, "", {}, [])]
    rows = [[key, text] for key, text in filled if not _ABSOLUTE_PATH.search(text)]
    return [Heading("Data"), Table(["field", "value"], rows, texts=2)] if rows else []


def run_section(run: Mapping[str, Any]) -> list[Block]:
    """Versions, seeds and settings, without anything that names a person, a machine or a folder."""
    rows = [[key, text] for key, text in _flatten(run) if not _is_private(key, text)]
    return [Heading("Run"), Table(["field", "value"], rows, texts=2)] if rows else []


def _error_table(evaluation: Evaluation, label: Label) -> Table:
    unit = _bracket(evaluation)
    header = ["predictor", "R2", f"RMSE{unit}", f"MAE{unit}", f"median AE{unit}", "n"]
    rows = []
    for name in _all(evaluation):
        entry = evaluation["overall"][name]
        cells = [with_interval(entry[key], 3 if key == "r2" else 2) for key in ("r2", "rmse", "mae", "median_ae")]
        rows.append([label(name), *cells, _count(entry)])
    return Table(header, rows)


def _relation_table(evaluation: Evaluation, label: Label) -> Table:
    plain = evaluation["target"]["unit"] or "unit"
    header = ["predictor", "Pearson", "Spearman", "CCC", *(f"within {limit} {plain} [%]" for limit in (1, 2, 3))]
    rows = []
    for name in _all(evaluation):
        entry = evaluation["overall"][name]
        cells = [with_interval(entry[key]) for key in ("pearson", "spearman", "ccc")]
        cells += [_percent(entry[f"within_{limit}db"]["estimate"]) for limit in (1, 2, 3)]
        rows.append([label(name), *cells])
    return Table(header, rows)


def _agreement_table(evaluation: Evaluation, label: Label) -> Table:
    unit = _bracket(evaluation)
    challenge = any("stage_score" in evaluation["overall"][name] for name in _all(evaluation))
    header = ["agreement", f"bias{unit}", f"limits of agreement{unit}", "calibration slope", f"intercept{unit}"]
    rows = []
    for name in _all(evaluation):
        entry = evaluation["overall"][name]
        limits, line = entry["bland_altman"], entry["calibration"]
        row = [label(name), with_interval(entry["bias"]), f"{number(limits['lower'])} to {number(limits['upper'])}"]
        row += [number(line["slope"]), number(line["intercept"])]
        rows.append(row + [number(entry.get(key)) for key in ("smape", "stage_score") if challenge])
    return Table(header + (["SMAPE", "STAGE score"] if challenge else []), rows)


def _undefined(evaluation: Evaluation, label: Label) -> list[Block]:
    lines = []
    for name in _all(evaluation):
        by_reason: dict[str, list[str]] = {}
        for statistic, reason in evaluation["overall"][name]["undefined"].items():
            by_reason.setdefault(reason, []).append(statistic)
        lines += [f"{label(name)}: {', '.join(names)} undefined, {reason}." for reason, names in by_reason.items()]
    return [Paragraph(" ".join(lines))] if lines else []


def _strata_table(strata: Sequence[Mapping[str, Any]], evaluation: Evaluation, label: Label) -> Table:
    unit = _bracket(evaluation)
    plain = evaluation["target"]["unit"] or "unit"
    header = [
        "group",
        "predictor",
        f"MAE{unit}",
        f"RMSE{unit}",
        f"bias{unit}",
        f"within 2 {plain} [%]",
        "n",
        "patients",
    ]
    rows = []
    for stratum in strata:
        if not stratum["n"]:
            rows.append([stratum["name"], "no cases", "", "", "", "", "0", "0"])
            continue
        for name in _all(evaluation):
            entry = stratum["metrics"][name]
            cells = [with_interval(entry[key]) for key in ("mae", "rmse", "bias")]
            cells += [_percent(entry["within_2db"]["estimate"]), _count(entry), str(entry["patients"])]
            rows.append([stratum["name"], label(name), *cells])
    return Table(header, rows, texts=2)


def _all(evaluation: Evaluation) -> list[str]:
    return [*evaluation["predictors"], *evaluation["references"]]


def _unit(evaluation: Evaluation) -> str:
    unit = evaluation["target"]["unit"]
    return f" {unit}" if unit else ""


def _bracket(evaluation: Evaluation) -> str:
    unit = evaluation["target"]["unit"]
    return f" [{unit}]" if unit else ""


def _percent(share: float | None) -> str:
    return number(None if share is None else 100 * share, 1)


def _count(entry: Mapping[str, Any]) -> str:
    return f"{entry['n']} ({entry['dropped']} without)" if entry["dropped"] else str(entry["n"])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_value(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(item) for item in value)
    return str(value)


def _flatten(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        rows += _flatten(value, f"{name}.") if isinstance(value, Mapping) else [(name, _value(value))]
    return rows


def _is_private(key: str, text: str) -> bool:
    words = key.lower().replace(".", "_").replace("-", "_").split("_")
    return any(word in words for word in _PRIVATE) or "/" in text or "\\" in text or "@" in text or text.startswith("~")
