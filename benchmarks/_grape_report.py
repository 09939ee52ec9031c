"""The report of the GRAPE study: Markdown, JSON and a figure, all from the runs' files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks._grape_data import fold_cases
from benchmarks._grape_figure import draw
from benchmarks._grape_table import BASELINE, REFERENCES, STATISTICS, TITLES, costs_of, pooled_table, read_runs
from benchmarks._grape_table import statistics_of as measure
from benchmarks._grape_words import findings
from medmd.data import load_datalist
from medmd.utils import read_json, write_atomic, write_json

_NAMES = {"r2": "R2", "rmse": "RMSE, dB", "mae": "MAE, dB"}
_USUAL_EPOCHS = 60
_METHODS = """\
Eyes: first visits of the release with an optic-disc crop and an RNFL measurement. Input: the crop at 64 x 64 and the
five RNFL thicknesses (numbers, not an image). Target: mean sensitivity in dB of the Octopus G1 field of the same visit.
Folds are by subject; of the subjects that are not tested on, one fold's worth is validation and chooses the epoch
(least MSE), the others train. The partition is the same for all seeds and methods; a seed chooses the weights, the
order and the augmentation, alike for all methods. Every trained row takes the same number of optimizer steps an
encoder, both stages counted (AdamW 1e-3, a cosine schedule a stage): stage 1 takes a third of them. Stage 1 hands on
the best weights of each modality. The single modalities are trained by the engine of stage 1 with contrastive weight 0,
for the whole number of steps; their late average is the mean of the two predictions. Ridge and constant are fitted on
training and validation eyes together.

Metrics are those of one table with every eye once a seed, predicted by the run that did not see its subject. Intervals
(95 %, percentile bootstrap) resample subjects and, crossed with them, seeds; differences are paired."""


def write_report(study: Any, output: Path, *, replicates: int) -> str:
    """Measure all runs of a study and write `output`.md, .json and .png.

    Args:
        study: the `Study`.
        output: path without ending.
        replicates: of the bootstrap.

    Returns:
        The Markdown.

    Raises:
        MedmdError: the study is not complete.
    """
    results = compute(study, replicates=replicates)
    text = markdown(results, figure=output.with_suffix(".png").name)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_json(output.with_suffix(".json"), results)
    write_atomic(output.with_suffix(".png"), draw(results["rows"]))
    write_atomic(output.with_suffix(".md"), text)
    return text


def compute(study: Any, *, replicates: int) -> dict[str, Any]:
    """All numbers of the report."""
    folder = Path(study.work)
    runs = read_runs(folder)
    folds = fold_cases(load_datalist(Path(study.data) / "datalist.json"), study.folds)
    table = pooled_table(runs, folds)
    last = pooled_table(runs, folds, which="last")
    rows = measure(table, replicates=replicates)
    unselected = measure(last, replicates=2)
    costs = costs_of(runs)
    for name, row in rows.items():
        row |= {
            "cost": costs.get(name),
            "last_epoch": {s: unselected[name]["metrics"][s]["estimate"] for s in STATISTICS},
        }
    return {
        "command": _command(study),
        "environment": read_json(folder / "environment.json"),
        "study": read_json(folder / "study.json"),
        "replicates": replicates,
        "seeds": sorted(int(seed) for seed in table["seed"].unique()),
        "eyes": int(table["case_id"].nunique()),
        "subjects": int(table["patient_id"].nunique()),
        "target": {"mean": float(table["target"].mean()), "sd": float(table["target"].std(ddof=0))},
        "fold_sizes": [{part: len(cases) for part, cases in fold.items()} for fold in folds],
        "rows": rows,
    }


def _command(study: Any) -> str:
    """How it was called, without the places of one machine."""
    places = {study.data: "DATA", study.work: "WORK"}
    return " ".join(["python -m benchmarks.grape", *(places.get(word, word) for word in sys.argv[1:])])


def markdown(results: Mapping[str, Any], *, figure: str) -> str:
    """The report as text."""
    rows = results["rows"]
    size = (
        f"{results['eyes']} eyes of {results['subjects']} subjects, {len(results['fold_sizes'])} folds x "
        f"{len(results['seeds'])} seeds, {results['study']['epochs']} epochs a run; mean sensitivity "
        f"{results['target']['mean']:.2f} dB, SD {results['target']['sd']:.2f} dB."
    )
    if results["study"]["epochs"] < _USUAL_EPOCHS:
        size += f" The script's default is {_USUAL_EPOCHS} epochs; fewer were run to fit the time there was."
    parts = [
        "# GRAPE: the methods on real eyes",
        f"Written by `{results['command']}`; do not edit by hand.",
        size,
        _METHODS,
        "## Result",
        _result_table(rows),
        f"## Differences to {TITLES[BASELINE]}",
        "Row minus UniformSum on the same eyes; R2 above 0 and RMSE and MAE below 0 are better than UniformSum.",
        _difference_table(rows),
        f"![Paired differences to UniformSum with 95 % intervals]({figure})",
        "## What the gradients did",
        _gradient_table(rows),
        "A conflict is a step whose fused and unimodal gradients have a cosine below 0 over all encoders (MMPareto: "
        "the mean over its encoders, cosine of 0 or below). A gamma is clipped at the smallest or largest that the "
        "bounds of its ratio allow. Processor seconds are of one training on a shared machine, both stages; the "
        "batches of a fold, seed and stage are prepared once, by the first run that needs them (JointLoss, single "
        "modalities).",
        "## What is seen",
        "\n".join(f"- {line}" for line in findings(rows)),
        "## Without selection",
        "The same runs at their last epoch, which needs no validation:",
        _last_table(rows),
        "## Made with",
        "\n".join(f"- {key}: {value}" for key, value in _made_with(results).items()),
    ]
    return "\n\n".join(parts) + "\n"


def _result_table(rows: Mapping[str, Any]) -> str:
    head = ["", *_NAMES.values(), "SD of R2 over seeds"]
    body = []
    for row in rows.values():
        spread = row["seed_sd"]["r2"]
        cells = [_interval(row["metrics"][key]) for key in STATISTICS]
        body.append([row["title"], *cells, "–" if row["cost"] is None or spread is None else f"{spread:.3f}"])
    return _table(head, body)


def _difference_table(rows: Mapping[str, Any]) -> str:
    body = [
        [row["title"], *(_interval(row["difference"][key], sign="+") for key in STATISTICS)]
        for row in rows.values()
        if row["difference"]
    ]
    return _table(["", *_NAMES.values()], body)


def _gradient_table(rows: Mapping[str, Any]) -> str:
    head = ["", "conflict", "mean cosine", "mean gamma", "gammas clipped low", "clipped high"]
    head += ["steps", "processor s", "mean best epoch"]
    body = []
    for row in rows.values():
        if row["cost"] is not None:
            cost, logs = row["cost"], row["cost"]["logs"]
            shares = [_number(logs.get("conflict"), ".1%"), _number(logs.get("cosine"), ".2f")]
            shares += [_number(logs.get("gamma"), ".2f")]
            shares += [_number(logs.get(f"clipped_{side}"), ".1%") for side in ("low", "high")]
            best = ", ".join(f"{key} {value:.0f}" for key, value in cost["best_epoch"].items())
            steps = [f"{cost['steps']:.0f}", f"{cost['processor_seconds']:.1f}", f"{best} of {cost['epochs']}"]
            body.append([row["title"], *shares, *steps])
    return _table(head, body)


def _last_table(rows: Mapping[str, Any]) -> str:
    body = [
        [row["title"], *(f"{row['last_epoch'][key]:.3f}" for key in STATISTICS)]
        for name, row in rows.items()
        if name not in REFERENCES
    ]
    return _table(["", *_NAMES.values()], body)


def _made_with(results: Mapping[str, Any]) -> dict[str, Any]:
    study = results["study"]
    kept = {
        key: study[key] for key in ("epochs", "folds", "split_seed", "batch_size", "learning_rate", "datalist_sha256")
    }
    sizes = ", ".join("/".join(str(size) for size in fold.values()) for fold in results["fold_sizes"])
    return {
        **kept,
        "seeds": ", ".join(map(str, results["seeds"])),
        "training/validation/testing eyes by fold": sizes,
        "bootstrap replicates": results["replicates"],
        **results["environment"],
    }


def _interval(found: Mapping[str, float], *, sign: str = "") -> str:
    form = f"{sign}.3f"
    return f"{found['estimate']:{form}} ({found['low']:{form}} to {found['high']:{form}})"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _table(head: list[str], body: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(cells)} |" for cells in body)]
    return "\n".join(lines)
