"""How often two equally good methods are told apart by chance: simulations without a difference.

Writes OUT/error_rates.json and .md:

    python -m benchmarks.error_rates --out docs/results
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medmd.metrics import paired_difference, permutation_test
from medmd.report.blocks import markdown_table
from medmd.utils import progress, write_atomic, write_json
from medmd.workflows import environment

ROOT = Path(__file__).resolve().parents[1]
LEVEL = 0.05
# A squared error far above every difference, so that no loss falls below 0.
_LOSS = 40.0


@dataclass(frozen=True)
class World:
    """What the losses of two methods of equal worth differ by.

    Attributes:
        title: for readers.
        patients: SD between patients.
        seeds: SD between training seeds.
        both: SD of each patient under each seed.
    """

    title: str
    patients: float
    seeds: float
    both: float


WORLDS = (
    World("patients, seeds and their interaction vary alike", 1.0, 1.0, 1.0),
    World("almost only seeds vary", 0.05, 1.0, 0.05),
    World("almost only patients vary", 1.0, 0.05, 0.05),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate and write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--simulations", type=int, default=1000, help="of each cell")
    parser.add_argument("--patients", type=int, default=40, help="in each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3, 5, 10], help="numbers of training seeds")
    options = parser.parse_args(arguments)
    cells = [(world, seeds) for world in WORLDS for seeds in options.seeds]
    rows = [
        {"world": asdict(world), "seeds": seeds, **rates(world, seeds, options.patients, options.simulations)}
        for world, seeds in progress(cells, total=len(cells), description="Simulating", unit="cell")
    ]
    kept = {"simulations": options.simulations, "patients": options.patients, "rows": rows}
    write_json(options.out / "error_rates.json", {**kept, "environment": environment("cpu")})
    write_atomic(options.out / "error_rates.md", page(rows, options.patients, options.simulations))
    return 0


def rates(world: World, seeds: int, patients: int, simulations: int) -> dict[str, float]:
    """Shares of simulations in which the interval leaves out 0, the permutation p is below 0.05, and both."""
    random = np.random.default_rng(0)
    found = np.array([_told_apart(draw(world, seeds, patients, random), number) for number in range(simulations)])
    interval, permutation = found.T
    return {
        "interval": float(interval.mean()),
        "permutation": float(permutation.mean()),
        "both": float((interval & permutation).mean()),
    }


def draw(world: World, seeds: int, patients: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(patients, seeds) differences of squared errors whose mean over patients and seeds is 0."""
    by_patient = world.patients * random.normal(size=(patients, 1))
    by_seed = world.seeds * random.normal(size=(1, seeds))
    return by_patient + by_seed + world.both * random.normal(size=(patients, seeds))


def _told_apart(difference: NDArray[np.float64], number: int) -> tuple[bool, bool]:
    patients, seeds = difference.shape
    columns = {"first": np.sqrt(_LOSS + difference).ravel(), "second": np.full(difference.size, np.sqrt(_LOSS))}
    target, patient = np.zeros(difference.size), np.repeat(np.arange(patients), seeds)
    groups = np.tile(np.arange(seeds), patients)
    (by,) = paired_difference(
        target, columns, patient, baseline="second", seed=number, replicates=1000, statistics=("mse",), groups=groups
    ).values()
    (test,) = permutation_test(target, columns, patient, seed=number, permutations=999, groups=groups).values()
    return not by["mse"].low <= 0 <= by["mse"].high, test.p_value < LEVEL


def page(rows: Sequence[dict[str, object]], patients: int, simulations: int) -> str:
    """The results in Markdown."""
    error = 100 * np.sqrt(LEVEL * (1 - LEVEL) / simulations)
    text = f"""# How often chance is taken for a difference

Written by `python -m benchmarks.error_rates --out docs/results`; do not edit by hand.

Two methods of equal worth, {patients} patients of one eye, {simulations} simulations a cell (a share of 5 % is known to
{error:.1f} %). *Interval*: the 95 % bootstrap interval of the difference leaves out 0. *Permutation*: p is below
{LEVEL:g}. Both draw patients and, crossed with them, training seeds. With few seeds both reject too often, the more so
the more of the difference is the seeds'. `medmd compare` sets nothing bold by the interval alone."""
    header = ["what varies", "seeds", "interval, %", "permutation, %", "both, %"]
    cells = [
        [
            str(row["world"]["title"]),  # type: ignore[index]
            str(row["seeds"]),
            *(f"{100 * float(row[name]):.1f}" for name in ("interval", "permutation", "both")),  # type: ignore[arg-type]
        ]
        for row in rows
    ]
    return f"{text}\n\n{markdown_table(header, cells)}\n"


if __name__ == "__main__":
    sys.exit(main())
