"""What the features of CMU-MOSI's release know: ridge regressions of each input within and between the release's parts.

Features that were made without the opinions predict held-out videos of one part as well as videos of the other.
Writes OUT/mosi_features.json and .md. DATA is what `python -m data_prep.mosi SRC DATA` wrote (all parts):

    python -m benchmarks.mosi_features --data DATA --out docs/results
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from medmd.data import load_datalist
from medmd.metrics import clustered_bootstrap
from medmd.utils import MedmdError, write_atomic, write_json
from medmd.workflows import environment

ROOT = Path(__file__).resolve().parents[1]
FOLDS = 5
_COLUMNS = {
    ("train", "train"): "held-out videos of train",
    ("test", "test"): "held-out videos of test",
    ("train", "test"): "train to test",
    ("test", "train"): "test to train",
}


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the converted release, all parts")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--samples", type=int, default=2000, help="bootstrap samples of videos")
    options = parser.parse_args(arguments)
    try:
        parts = read_parts(options.data)
    except MedmdError as error:
        print(error, file=sys.stderr)
        return 2
    inputs = list(parts["train"]["inputs"])
    rows = {name: measure(parts, [name], options.samples) for name in inputs}
    rows[" + ".join(inputs)] = measure(parts, inputs, options.samples)
    sizes = {name: {"utterances": len(part["y"]), "videos": len(set(part["video"]))} for name, part in parts.items()}
    result = {"rows": rows, "parts": sizes, "environment": environment("cpu")}
    write_json(options.out / "mosi_features.json", result)
    write_atomic(options.out / "mosi_features.md", page(result))
    print(page(result))
    return 0


def read_parts(folder: Path) -> dict[str, dict[str, Any]]:
    """The utterances of the release's training part (the lists training and validation) and of its test part."""
    datalist = load_datalist(folder / "datalist.json")
    lists = {"train": ("training", "validation"), "test": ("testing",)}
    found = {}
    for part, names in lists.items():
        cases = [case for name in names for case in datalist.splits[name] if None not in case.inputs.values()]
        found[part] = {
            "inputs": {name: np.asarray([case.inputs[name] for case in cases]) for name in datalist.header.inputs},
            "y": np.asarray([case.target for case in cases]),
            "video": np.asarray([case.patient_id for case in cases]),
        }
    return found


def measure(parts: dict[str, dict[str, Any]], inputs: list[str], samples: int) -> dict[str, dict[str, float]]:
    """R2 of a ridge regression on `inputs`, with a 95 % interval over videos, for each pair of parts."""
    data = {name: np.concatenate([part["inputs"][each] for each in inputs], axis=1) for name, part in parts.items()}
    found = {}
    for (source, target), name in _COLUMNS.items():
        seen, part = parts[source], parts[target]
        if source == target:
            folds = GroupKFold(FOLDS)
            guess = cross_val_predict(_ridge(), data[target], part["y"], groups=part["video"], cv=folds)
        else:
            guess = _ridge().fit(data[source], seen["y"]).predict(data[target])
        drawn = clustered_bootstrap(
            part["y"], {name: guess}, part["video"], seed=0, replicates=samples, statistics=["r2"]
        )
        interval = drawn[name]["r2"]
        found[name] = {"r2": interval.estimate, "low": interval.low, "high": interval.high}
    return found


def _ridge() -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 20)))


def page(result: dict[str, Any]) -> str:
    """The page in Markdown."""
    columns = list(_COLUMNS.values())
    lines = [
        "# What the features of CMU-MOSI's release know",
        "",
        "R2 of a ridge regression on the standardised inputs (strength by leave-one-out on the training side),",
        "95 % intervals by bootstrap over videos. Held-out videos: five folds by video.",
        "",
        "| input | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name, row in result["rows"].items():
        cells = [f"{row[column]['r2']:.3f} [{row[column]['low']:.3f}, {row[column]['high']:.3f}]" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    sizes = [
        f"{name} {size['utterances']} utterances of {size['videos']} videos" for name, size in result["parts"].items()
    ]
    lines += [
        "",
        f"Parts: {', '.join(sizes)}.",
        "An input that tells the opinions of held-out videos of train, and not those of test, was made with the",
        "opinions of train: what is held out of train measures how well they were remembered.",
        "",
        f"Revision {result['environment']['git_revision']}. "
        "`python -m benchmarks.mosi_features --data DATA --out docs/results`",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
