"""How fast the phantom cohort is made: eyes a second a core, by step, on this machine.

python -m benchmarks.phantom_speed --out docs/results
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medmd.data.phantom import GENERATOR_VERSION, Eye, PhantomCohort
from medmd.data.phantom._encode import nifti_bytes, png_bytes
from medmd.data.phantom._fundus import render_fundus
from medmd.data.phantom._oct import SPACING_MM, render_oct
from medmd.utils import write_json


def main() -> None:
    """Measure, print and write `phantom_speed.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eyes", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/results"), help="folder of the result")
    options = parser.parse_args()
    result = measure(options.eyes, options.rounds)
    for name, value in result.items():
        print(f"{name}: {value}")
    write_json(options.out / "phantom_speed.json", result)


def measure(eyes: int, rounds: int) -> dict[str, Any]:
    """Processor seconds, not clock time, so that other work on the machine counts little; medians over rounds.

    Args:
        eyes: how many are made a round.
        rounds: how often; each with another seed, so that nothing is reused.
    """
    steps: dict[str, Callable[[Eye], object]] = {
        "render_oct": render_oct,
        "render_fundus": render_fundus,
        "render_and_encode_oct": lambda eye: nifti_bytes(render_oct(eye), SPACING_MM),
        "render_and_encode_fundus": lambda eye: png_bytes(render_fundus(eye)),
    }
    PhantomCohort(1, 0).write(Path(tempfile.mkdtemp(prefix="phantom-warm-up-")))
    cohorts = [PhantomCohort(eyes, seed) for seed in range(1, rounds + 1)]
    whole = [_seconds_of_writing(cohort) for cohort in cohorts]
    return {
        "generator": GENERATOR_VERSION,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "eyes": eyes,
        "rounds": rounds,
        "eyes_per_second_per_core": round(eyes / statistics.median(whole), 2),
        "milliseconds_an_eye": {
            "whole": round(1000 * statistics.median(whole) / eyes, 2),
            **{name: _milliseconds(step, cohorts) for name, step in steps.items()},
        },
    }


def _seconds_of_writing(cohort: PhantomCohort) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        cohort.write(folder)
        return time.process_time() - start


def _milliseconds(step: Callable[[Eye], object], cohorts: Sequence[PhantomCohort]) -> float:
    times = []
    for cohort in cohorts:
        start = time.process_time()
        for eye in cohort.eyes:
            step(eye)
        times.append((time.process_time() - start) / len(cohort.eyes))
    return round(1000 * statistics.median(times), 2)


if __name__ == "__main__":
    main()
