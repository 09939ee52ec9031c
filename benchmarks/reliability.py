"""Killed, repeated and resumed trainings: whether they end alike, and what differs when they do not.

    python -m benchmarks.reliability --work WORK
    python -m benchmarks.reliability --work WORK --parts kills --moments 10 --places "inside saving"

Parts: `kills` (SIGKILL at random and at chosen moments), `equality` (twice, workers, cache, threads), `drift` (float32
against float64 in stage 2), `overhead` (what a resume costs). Each can be measured alone; the others keep what
reliability.json holds of them. A measurement that was stopped goes on where it stood when it is given the same WORK,
which holds a copy of the sources and all runs; the runs that end differently from the undisturbed one stay there.
Writes OUT/reliability.json, .md and .png. Run it from the repository root.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from benchmarks._reliability_bench import Bench
from benchmarks._reliability_compare import EXCLUDED
from benchmarks._reliability_equality import measure_equality
from benchmarks._reliability_figure import draw_drift
from benchmarks._reliability_kills import chain, chosen_places, run_moments, run_trial
from benchmarks._reliability_overhead import measure_overhead
from benchmarks._reliability_page import page
from benchmarks._reliability_places import PLACES
from benchmarks._reliability_starts import ROOT, Server, copy_source
from benchmarks._reliability_starts import environment as starts_environment
from benchmarks.step_cost import processor
from medmd.utils import read_json, write_atomic, write_json
from medmd.workflows import environment

PARTS = ("kills", "equality", "drift", "overhead")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure the chosen parts and write."""
    options = _parse(arguments)
    # So that what runs is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    torch.set_num_threads(1)
    work = options.work.resolve()
    source = copy_source(work / "source")
    _claim(work, {"epochs": options.epochs, "seed": options.seed})
    found = {}
    with Server(source) as server:
        bench = Bench(server=server, source=source, work=work, epochs=options.epochs)
        for part in options.parts:
            found[part] = {
                "command": " ".join(["python -m benchmarks.reliability", *_without_places(options.arguments)]),
                "environment": {**_environment(), **read_json(source / "complete.json")},
                **_measure(part, bench, options),
            }
    return _write(options.out, found)


def _measure(part: str, bench: Bench, options: argparse.Namespace) -> dict[str, Any]:
    def tell(line: str) -> None:
        print(f"{part}: {line}", flush=True)

    if part == "equality":
        return {"settings": bench.settings(), **measure_equality(bench, tell)}
    if part == "drift":
        asked = {"eyes": str(bench.eyes(options.eyes)), "steps": options.steps, "every": 5}
        command = [sys.executable, "-m", "benchmarks._reliability_drift", json.dumps(asked)]
        done = subprocess.run(  # noqa: S603 - our own module
            command, cwd=bench.source, env=starts_environment(), stdout=subprocess.PIPE, text=True, check=True
        )
        return dict(json.loads(done.stdout))
    if part == "overhead":
        return measure_overhead(bench, bench.eyes(options.eyes), kill_at=options.kill_at, tell=tell)
    trials = [chosen_places(group) for group in PLACES if group in options.places]
    trials += [chain(options.seed)] if options.chain else []
    results = run_moments(bench, options.moments, options.seed, tell)
    results += [run_trial(bench, trial, tell) for trial in trials]
    return {
        "seed": options.seed,
        "settings": bench.settings(),
        "excluded": EXCLUDED,
        "trials": results,
    }


def _without_places(arguments: list[str]) -> list[str]:
    """The words of the command with a name in the place of a folder, as a reader would write it."""
    pairs = zip(["", *arguments], arguments, strict=False)
    named = [{"--work": "WORK", "--out": "OUT"}.get(before, word) for before, word in pairs]
    return [f'"{word}"' if " " in word else word for word in named]


def _claim(work: Path, identity: dict[str, Any]) -> None:
    note = work / "identity.json"
    if note.exists() and read_json(note) != identity:
        sys.exit(f"{work} holds a measurement with {read_json(note)}, not {identity}. Name another folder.")
    write_json(note, identity)


def _write(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    path = folder / "reliability.json"
    known = read_json(path) if path.exists() else {}
    results = {part: {**known, **found}[part] for part in PARTS if part in {**known, **found}}
    write_json(path, results)
    if "drift" in results:
        write_atomic(folder / "reliability.png", draw_drift(results["drift"]))
    write_atomic(folder / "reliability.md", page(results))
    return results


def _environment() -> dict[str, Any]:
    return {
        **environment("cpu"),
        "cpu_count": psutil.cpu_count(),
        "processor": processor(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": round(psutil.getloadavg()[0], 1),
    }


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--moments", type=int, default=50, help="how many random moments (50)")
    names = [*PLACES, "none"]
    parser.add_argument("--places", nargs="+", choices=names, default=list(PLACES), help="chosen places (all)")
    parser.add_argument("--chain", action="store_true", help="one run more, with three kills of three kinds")
    parser.add_argument("--epochs", type=int, default=4, help="of each stage of the runs that are killed (4)")
    parser.add_argument("--eyes", type=int, default=120, help="of the cohort for drift and overhead (120)")
    parser.add_argument("--steps", type=int, default=200, help="of the drift (200)")
    parser.add_argument("--kill-at", type=int, default=12, help="step of stage 2, for the overhead (12)")
    options = parser.parse_args(arguments)
    options.arguments = list(sys.argv[1:] if arguments is None else arguments)
    return options


if __name__ == "__main__":
    main()
