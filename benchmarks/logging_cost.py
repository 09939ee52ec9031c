"""What MLflow tracking adds to a training step: with and without, interleaved in one run.

The step is stage 2's of a preset, on random inputs of its sizes at its batch size, with its optimiser and the recorder
of the history. Run it from the repository root on an otherwise idle machine:

    python -m benchmarks.logging_cost --out docs/results
    python -m benchmarks.logging_cost --preset tiny --steps 20 --rounds 2 --no-server --out /tmp/cost
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser

from benchmarks._mlflow_server import mlflow_server
from medmd.balancing import SGM, Losses
from medmd.handlers import History, MLflowRun, RecordHistory, TrackMLflow
from medmd.losses import MeanSquaredErrorLoss
from medmd.networks import build_network
from medmd.utils import write_atomic, write_json
from medmd.workflows import environment, resolve_literals

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "bundles" / "remd"
ALLOWED = 1.02
INTRODUCTION = """\
Each round runs a block of steps without tracking and one with each store, in changing order; a block ends when
everything was sent, so that the sending thread's work counts in full. Processor time is this process's with all its
threads; a server's own is not in it, though it takes from the same cores here. Ratios are medians over the rounds."""


class Loop:
    """Steps of a preset with the recorder of the history, and with tracking when there is a run."""

    def __init__(self, step: Callable[[], dict[str, Any]], log_every: int, run: MLflowRun | None) -> None:
        self._engine = Engine(self._process)
        self._step = step
        self._run = run
        self._engine.logs = {}
        recorder = RecordHistory(history=History(), stage="train", every=log_every)
        recorder.attach(self._engine)
        if run is not None:
            TrackMLflow(run=run, recorder=recorder).attach(self._engine)

    def block(self, steps: int) -> None:
        """One epoch of `steps` steps, and the sending of what they logged."""
        self._engine.run(range(steps), max_epochs=self._engine.state.epoch + 1, epoch_length=steps)
        if self._run is not None and not self._run.settle():
            msg = "The store did not take everything: the measurement would not count its cost."
            raise RuntimeError(msg)

    def _process(self, engine: Engine, _: Any) -> None:
        engine.logs = self._step()


def main() -> None:
    """Measure, print and write `logging_cost.json` and `.md`."""
    options = parse()
    config = ConfigParser.load_config_files(
        [str(BUNDLE / "train.json"), str(BUNDLE / "presets" / f"{options.preset}.json")]
    )
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="medmd-cost-") as folder, ExitStack() as stack:
        runs = {
            name: stack.enter_context(tracked(name, Path(folder)))
            for name in ("sqlite", "server")[: 1 + options.server]
        }
        step = step_of(config)
        every = int(config["log_every"])
        loops = {"off": Loop(step, every, None), **{name: Loop(step, every, run) for name, run in runs.items()}}
        result = summary(measure(loops, options.steps, options.rounds))
    facts = {"preset": options.preset, "batch_size": config["batch_size"], "log_every": every, "seed": 0}
    facts |= {"steps": options.steps, "rounds": options.rounds, **environment("cpu"), "cores": psutil.cpu_count()}
    facts["load_average"] = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    write_json(options.out / "logging_cost.json", {"facts": facts, "result": result, "allowed_ratio": ALLOWED})
    write_atomic(options.out / "logging_cost.md", page(facts, result))
    print(page(facts, result))


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--preset", default="default", help="whose step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=36, help="a block; the default run's epoch has 36")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--server", action=argparse.BooleanOptionalAction, default=True, help="measure a server too")
    return parser.parse_args()


@contextmanager
def tracked(name: str, folder: Path) -> Iterator[MLflowRun]:
    """A started run in a store of its own, closed at the end."""
    place = folder / name
    place.mkdir()
    with ExitStack() as stack:
        before = os.environ.pop("MLFLOW_TRACKING_URI", None)
        if name == "server":
            os.environ["MLFLOW_TRACKING_URI"] = stack.enter_context(mlflow_server(place))
        run = MLflowRun(folder=place / "run")
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        if before is not None:
            os.environ["MLFLOW_TRACKING_URI"] = before
        run.folder.mkdir()
        run.start(parameters={}, tags={})
        yield run
        run.finish("FINISHED")


def step_of(config: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """One step of stage 2 on a fixed random batch; gives what the trainer logs."""
    torch.manual_seed(0)
    network = build_network(resolve_literals(config, "network")).train()
    sizes = {"oct": (1, *config["oct_size"]), "fundus": (3, config["fundus_size"], config["fundus_size"])}
    inputs = {name: torch.randn(int(config["batch_size"]), *size) for name, size in sizes.items()}
    target, loss, balancer = torch.randn(int(config["batch_size"])), MeanSquaredErrorLoss(), SGM()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)

    def closure() -> Losses:
        found = network(inputs)
        return Losses(loss(found.fusion, target), {name: loss(each, target) for name, each in found.unimodal.items()})

    def step() -> dict[str, Any]:
        logs = balancer.backward(network, closure)
        optimizer.step()
        return logs

    return step


def measure(loops: dict[str, Loop], steps: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds a step of every loop in every round, by clock."""
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    taken: dict[str, dict[str, list[float]]] = {name: {clock: [] for clock in clocks} for name in loops}
    names = list(loops)
    for name in names:
        loops[name].block(steps)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            start = {clock: read() for clock, read in clocks.items()}
            loops[name].block(steps)
            for clock, read in clocks.items():
                taken[name][clock].append((read() - start[clock]) / steps)
    return taken


def summary(taken: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Medians: milliseconds a step, and the ratio to the block without tracking of the same round."""
    found: dict[str, dict[str, float]] = {}
    for name, clocks in taken.items():
        found[name] = {}
        for clock, values in clocks.items():
            ratios = [own / off for own, off in zip(values, taken["off"][clock], strict=True)]
            found[name][f"{clock}_ms"] = round(1000 * statistics.median(values), 3)
            found[name][f"{clock}_ratio"] = round(statistics.median(ratios), 4)
            found[name][f"{clock}_fastest_ratio"] = round(min(values) / min(taken["off"][clock]), 4)
    return found


def page(facts: dict[str, Any], result: dict[str, dict[str, float]]) -> str:
    """The result as Markdown."""
    lines = ["# Cost of tracking", "", *INTRODUCTION.splitlines(), ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    columns = [f"{clock}_{kind}" for clock in ("wall", "processor") for kind in ("ms", "ratio", "fastest_ratio")]
    lines += ["", "| tracking | " + " | ".join(columns).replace("_", " ") + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(str(row[column]) for column in columns) + " |" for name, row in result.items()
    ]
    worst = max(row["processor_ratio"] for row in result.values())
    verdict = "within" if worst <= ALLOWED else "beyond"
    lines += ["", f"Largest ratio of processor time: {worst}, {verdict} the {ALLOWED} that is asked for."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
