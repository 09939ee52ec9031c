"""Where joint fusion falls below the best single modality, and which methods help: docs/results/phenomenon.md.

    medmd benchmark phenomenon --work WORK
    python -m benchmarks.phenomenon WORK --out docs/results

Nothing is trained here. What is missing is said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._benchmark_claims import LEVEL
from benchmarks._best_single import BEST_SINGLE, with_best_single
from benchmarks._missing import missing_section
from medmd.benchmark import Runs, load_runs
from medmd.comparison import compare_rows, rows_of_runs
from medmd.report.blocks import markdown_table
from medmd.utils import MedmdError, write_atomic, write_json

_INTRODUCTION = """# Where fusion falls below the best single modality

Written by `python -m benchmarks.phenomenon WORK --out docs/results` from the runs of `medmd benchmark phenomenon`; do
not edit by hand. Phantom cohorts with one property changed at a time; every method takes the same number of steps.

The *best single* modality is, in each run, the one with the least MSE on validation. A cell is the method's MSE minus
that of the best single modality, in per cent of the latter: below 0 fusion helps. **Bold**: the 95 % interval (patients
and, crossed with them, seeds) leaves out 0 and permutation p < 0.05; neither is corrected for the number of cells.
*Conflicts* are the share of steps of stage 2 in which the gradients of the fused and of the unimodal losses point
against each other, under SGM."""


@dataclass(frozen=True)
class Place:
    """One cohort.

    Attributes:
        name: of the data set.
        title: for readers.
        single: the best single modality, or how often each was.
        single_r2: its R2.
        ceiling_r2: R2 of the information ceiling.
        conflicts: share of steps, NaN when no method logs it.
        size: test cases, their patients, training seeds.
        cells: by method, (difference, low, high) as shares of the single modality's MSE.
        sure: methods whose interval leaves out 0 and whose permutation p is below 0.05.
    """

    name: str
    title: str
    single: str
    single_r2: float
    ceiling_r2: float
    conflicts: float
    size: tuple[int, int, int]
    cells: dict[str, tuple[float, float, float]]
    sure: frozenset[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", metavar="WORK", type=Path, help="folder of `medmd benchmark phenomenon`")
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of the results")
    parser.add_argument("--seed", type=int, default=0, help="of resamples")
    options = parser.parse_args(arguments)
    try:
        write_page(load_runs(options.work), options.out, seed=options.seed)
    except MedmdError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write_page(runs: Runs, out: Path, *, seed: int = 0) -> Path:
    """Write `phenomenon.md`, `.json` and `.png`.

    Raises:
        MedmdError: no cohort has a single modality to compare with.
    """
    places = [place for name in runs.datasets if (place := measure(runs, name, seed=seed)) is not None]
    if not places:
        msg = (
            f"{runs.root}: no data set with finished runs of single modalities and of fusion. Run the benchmark first."
        )
        raise MedmdError(msg)
    methods = list(dict.fromkeys(name for place in places for name in place.cells))
    titles = {row.name: row.title or row.name for row in runs.rows}
    header = [
        "cohort",
        "test eyes (patients)",
        "best single",
        "its R2",
        "ceiling's R2",
        "conflicts, %",
        *(titles[name] for name in methods),
    ]
    table = markdown_table(header, [_cells(place, methods) for place in places])
    parts = [
        _INTRODUCTION,
        _seeds(places),
        table,
        "![Difference to the best single modality](phenomenon.png)",
        _counts(places, methods, titles),
    ]
    write_atomic(out / "phenomenon.md", "\n\n".join([*parts, *filter(None, [missing_section(runs)])]) + "\n")
    write_json(out / "phenomenon.json", {"format": 1, "cohorts": [_plain(place) for place in places]})
    draw(places, methods, titles, out / "phenomenon.png")
    return out / "phenomenon.md"


def _seeds(places: Sequence[Place]) -> str:
    """How many trainings a cell is the mean of, and how far its test can be trusted."""
    seeds = sorted({place.size[2] for place in places})
    told = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"{told} seeds of each training, nothing searched. "
        "So few let interval and test together take chance for a difference more often than in 5 % of cells "
        "([measured](error_rates.md)). *Ceiling*: R2 of an oracle that knows all that the images tell; –: not run."
    )


def measure(runs: Runs, dataset: str, *, seed: int = 0) -> Place | None:
    """Compare all rows of a cohort with its best single modality; None without runs of both."""
    if not len(runs.predictions(dataset)):
        return None
    single = with_best_single(runs, rows_of_runs(runs, dataset))
    if single is None:
        return None
    comparison = compare_rows(
        single.rows, baseline=BEST_SINGLE, statistic="mse", correction="none", seed=seed, all_pairs=False
    )
    entries = {entry["name"]: entry for entry in comparison["rows"]}
    scale = entries[BEST_SINGLE]["metrics"]["mse"]["estimate"]
    found = {
        name: entry["difference"]
        for name, entry in entries.items()
        if not name.startswith("unimodal_") and entry["label"] != "reference" and entry["difference"] is not None
    }
    cells = {name: tuple(each[end] / scale for end in ("estimate", "low", "high")) for name, each in found.items()}
    sure = frozenset(
        name for name, each in found.items() if (each["low"] > 0 or each["high"] < 0) and each["p_permutation"] < LEVEL
    )
    if not cells:
        return None
    ceiling = entries.get("information", {}).get("metrics", {}).get("r2", {}).get("estimate", np.nan)
    r2 = entries[BEST_SINGLE]["metrics"]["r2"]["estimate"]
    size = (comparison["cases"], comparison["patients"], comparison["seeds"])
    return Place(dataset, runs.title(dataset), single.told, r2, ceiling, _conflicts(runs, dataset), size, cells, sure)


def _conflicts(runs: Runs, dataset: str) -> float:
    done = runs.results[(runs.results["dataset"] == dataset) & (runs.results["method"] == "sgm")]
    return float(done["summary_conflict"].mean()) if "summary_conflict" in done else np.nan


def _cells(place: Place, methods: Sequence[str]) -> list[str]:
    shown = [
        place.title,
        f"{place.size[0]} ({place.size[1]})",
        place.single,
        f"{place.single_r2:.3f}",
        "–" if pd.isna(place.ceiling_r2) else f"{place.ceiling_r2:.3f}",
        "–" if pd.isna(place.conflicts) else f"{100 * place.conflicts:.1f}",
    ]
    for name in methods:
        if name not in place.cells:
            shown.append("–")
            continue
        text = f"{100 * place.cells[name][0]:+.1f}"
        shown.append(f"**{text}**" if name in place.sure else text)
    return shown


def _counts(places: Sequence[Place], methods: Sequence[str], titles: dict[str, str]) -> str:
    """How often each method was below and above the best single modality for certain."""
    lines = []
    for name in methods:
        signs = [np.sign(place.cells[name][0]) * (name in place.sure) for place in places if name in place.cells]
        worse, better = signs.count(1), signs.count(-1)
        lines.append(
            f"- {titles[name]}: better than the best single modality in {better}, worse in {worse}, undecided in "
            f"{len(signs) - better - worse} of {len(signs)} cohorts"
        )
    return "\n".join(lines)


def _plain(place: Place) -> dict[str, Any]:
    numbers = {key: None if pd.isna(value) else value for key, value in vars(place).items() if isinstance(value, float)}
    cells = {name: dict(zip(("difference", "low", "high"), ends, strict=True)) for name, ends in place.cells.items()}
    return {
        "name": place.name,
        "title": place.title,
        **dict(zip(("test_cases", "patients", "seeds"), place.size, strict=True)),
        "best_single": place.single,
        **numbers,
        "methods": cells,
        "sure": sorted(place.sure),
    }


def _ink(depth: float) -> str:
    """Readable on a cell of that depth, from -1 to 1."""
    return "white" if abs(depth) > 0.6 else "black"


def draw(places: Sequence[Place], methods: Sequence[str], titles: dict[str, str], path: Path) -> None:
    """Cohorts x methods, coloured by the difference; a dot where it is sure."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    values = np.array([[100 * place.cells.get(name, (np.nan,))[0] for name in methods] for place in places])
    most = max(float(np.nanmax(np.abs(values))), 1.0)
    # The names below the cells, in lines of their own, take two inches.
    size = (2.6 + 0.75 * len(methods), 2.2 + 0.42 * len(places))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    image = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    for row, place in enumerate(places):
        for column, name in enumerate(methods):
            if name not in place.cells:
                axes.text(column, row, "–", ha="center", va="center", fontsize=8)
            else:
                value, mark = place.cells[name][0], " •" if name in place.sure else ""
                axes.text(
                    column,
                    row,
                    f"{100 * value:+.0f}{mark}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=_ink(100 * value / most),
                )
    axes.set_xticks(
        range(len(methods)),
        [fill(titles[name], 20) for name in methods],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
        fontsize=8,
    )
    axes.set_yticks(range(len(places)), [place.title for place in places], fontsize=8)
    figure.colorbar(image, ax=axes).set_label("difference, %", fontsize=8)
    axes.set_title(
        "MSE against the best single modality, %. Blue: fusion helps; •: interval and test leave out 0; –: not run",
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
