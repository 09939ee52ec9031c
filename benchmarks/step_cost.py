"""What a training step costs under each balancer: FLOPs (exact), time (a ratio measured in one run) and memory.

python benchmarks/step_cost.py --output docs/results/step_cost
python benchmarks/step_cost.py --small
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from medmd.balancing import (
    ASAM,
    MGDA,
    OGMGE,
    SAM,
    SGM,
    SSESAM,
    Balancer,
    CAGrad,
    ImbSAM,
    JointLoss,
    Losses,
    MMPareto,
    NashMTL,
    PCGrad,
    UniformSum,
)
from medmd.networks import MultimodalRegressor, ResNetEncoder, SliceChannelEncoder
from medmd.utils import write_atomic, write_json

INTRODUCTION = """\
The model is the paper's: a 2-D ResNet-34 on a 256-channel OCT and one on a 3-channel fundus photograph, a linear head
for each and one for both. `plain` is `loss.backward()` of the summed loss; columns without a unit are ratios to it, the
median over rounds in which every method takes one step; `fastest` compares the fastest step of each, which other
programs on the machine disturb least, and processor time does not count theirs. Memory is the peak of a process that
takes two steps. All steps stop before the optimiser."""

# Most FLOPs a step may take, in plain steps.
LIMITS = {
    "uniform": 1.0,
    "ogm": 1.0,
    "ogm_ge": 1.0,
    "mmpareto": 1.6,
    "pcgrad": 1.6,
    "mgda": 1.6,
    "cagrad": 1.6,
    "nash_mtl": 1.6,
    "sam": 2.0,
    "asam": 2.0,
    "imb_sam": 2.67,
    "sse_sam": 4.0,
    "sgm_grad_norm": 1.6,
    "sgm_sam_max": 2.1,
    "sgm_paper": 2.42,
}


def balancers() -> dict[str, Balancer | None]:
    """The methods by name; None is the plain step."""
    return {
        "plain": None,
        "joint": JointLoss(),
        "uniform": UniformSum(),
        "ogm": OGMGE(noise=False),
        "ogm_ge": OGMGE(),
        "mmpareto": MMPareto(),
        "pcgrad": PCGrad(),
        "mgda": MGDA(),
        "cagrad": CAGrad(),
        "nash_mtl": NashMTL(),
        "sam": SAM(),
        "asam": ASAM(),
        "imb_sam": ImbSAM(),
        "sse_sam": SSESAM(),
        "sgm_grad_norm": SGM(sharpness="grad_norm"),
        "sgm_sam_max": SGM(sharpness="sam_max"),
        "sgm_paper": SGM(),
    }


def step_of(
    balancer: Balancer | None, model: MultimodalRegressor, closure: Callable[[], Losses]
) -> Callable[[], object]:
    """A function that computes the gradients of one step."""
    if balancer is not None:
        return lambda: balancer.backward(model, closure)

    def plain() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        closure().total({}).backward()

    return plain


def prepare(options: argparse.Namespace, size: int) -> tuple[MultimodalRegressor, Callable[[], Losses]]:
    """Model and closure over one fixed random batch."""
    torch.manual_seed(options.seed)
    encoders = {
        "oct": SliceChannelEncoder(slices=options.oct_channels, depth=options.depth, planes=options.planes),
        "fundus": ResNetEncoder(spatial_dims=2, in_channels=3, depth=options.depth, planes=options.planes),
    }
    model = MultimodalRegressor(encoders)
    inputs = {
        "oct": torch.randn(options.batch, 1, options.oct_channels, size, size),
        "fundus": torch.randn(options.batch, 3, size, size),
    }
    target = torch.randn(options.batch)
    return model, lambda: losses_of(model, inputs, target)


def losses_of(model: MultimodalRegressor, inputs: dict[str, Tensor], target: Tensor) -> Losses:
    """Mean squared errors of the three predictions of one forward pass."""
    predictions = model(inputs)
    errors = {name: prediction - target for name, prediction in predictions.unimodal.items()}
    fusion = predictions.fusion - target
    return Losses(
        fusion.square().mean(),
        {name: error.square().mean() for name, error in errors.items()},
        {name: error.detach().abs().mean() for name, error in errors.items()},
        per_sample=torch.stack([error.square() for error in (fusion, *errors.values())]).sum(dim=0) / len(target),
        tail=target < target.median(),
    )


def count_flops(step: Callable[[], object]) -> int:
    """Multiply-adds times two of the convolutions and matrix products of one step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def measure_times(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Every method once in each round, so that whatever else the machine does meets all alike.

    Time of the wall and of the processor: the second does not count what other programs take.
    """
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    taken: dict[str, dict[str, list[float]]] = {clock: {name: [] for name in steps} for clock in clocks}
    names = list(steps)
    for number in range(rounds):
        # Another beginning each time: the step after a heavy one finds a colder cache.
        first = 3 * number % len(names)
        for name in names[first:] + names[:first]:
            start = {clock: read() for clock, read in clocks.items()}
            steps[name]()
            for clock, read in clocks.items():
                taken[clock][name].append(read() - start[clock])
    return {
        name: {key: value for clock in clocks for key, value in summary(taken[clock], name, clock)} for name in steps
    }


def summary(taken: dict[str, list[float]], name: str, clock: str) -> list[tuple[str, float]]:
    """Median seconds, and median over the rounds of the ratio to the plain step of the same round."""
    ratios = [own / plain for own, plain in zip(taken[name], taken["plain"], strict=True)]
    return [
        (f"{clock}_seconds", statistics.median(taken[name])),
        (f"{clock}_ratio", statistics.median(ratios)),
        (f"{clock}_fastest_ratio", min(taken[name]) / min(taken["plain"])),
    ]


def measure_memory(options: argparse.Namespace, name: str, size: int) -> float:
    """Peak resident memory in MB of a fresh process that takes two steps."""
    command = [sys.executable, __file__, *options.arguments, "--memory-of", name, "--sizes", str(size)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own script
    return float(found.stdout)


def memory_of(options: argparse.Namespace) -> float:
    """The child's part of `measure_memory`."""
    step = step_of(balancers()[options.memory_of], *prepare(options, options.sizes[0]))
    # The second step has the gradients of the first in memory, as every later one has.
    for _ in range(2):
        step()
    return peak_memory() / 2**20


def peak_memory() -> int:
    """Peak resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # `ru_maxrss` starts from the peak of the process that started this one; the high-water mark does not.
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_size(options: argparse.Namespace, size: int) -> dict[str, dict[str, Any]]:
    """FLOPs, time and memory of every method at one image size."""
    model, closure = prepare(options, size)
    steps = {name: step_of(balancer, model, closure) for name, balancer in balancers().items()}
    flops = {name: count_flops(step) for name, step in steps.items()}
    times = measure_times(steps, options.rounds) if options.rounds else {}
    found: dict[str, dict[str, Any]] = {}
    for name in steps:
        ratio = flops[name] / flops["plain"]
        found[name] = {"flops": flops[name], "flop_ratio": ratio, "limit": LIMITS.get(name)}
        if times:
            kinds = ("wall", "wall_fastest", "processor")
            over = {f"{kind}_over_flops": times[name][f"{kind}_ratio"] / ratio for kind in kinds}
            found[name] |= {**times[name], **over}
        if options.memory:
            found[name]["peak_memory_mb"] = measure_memory(options, name, size)
    return found


def environment(options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "command": " ".join(["python", f"benchmarks/{Path(__file__).name}", *options.arguments]),
        "seed": options.seed,
        "batch": options.batch,
        "depth": options.depth,
        "oct_channels": options.oct_channels,
        "planes": options.planes,
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "processor": processor(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "monai": monai.__version__,
    }


def processor() -> str:
    """The processor's name as the system gives it."""
    source = Path("/proc/cpuinfo")
    lines = source.read_text().splitlines() if source.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


COLUMNS = {
    "flop_ratio": ("FLOPs", ".4f"),
    "wall_ratio": ("time", ".3f"),
    "wall_over_flops": ("time / FLOPs", ".3f"),
    "wall_fastest_ratio": ("fastest", ".3f"),
    "wall_fastest_over_flops": ("fastest / FLOPs", ".3f"),
    "processor_ratio": ("processor time", ".3f"),
    "processor_over_flops": ("processor time / FLOPs", ".3f"),
    "wall_seconds": ("seconds", ".3f"),
    "peak_memory_mb": ("peak memory, MB", ".0f"),
}


def table(results: dict[str, Any]) -> str:
    """The results as Markdown; what was not measured has no column."""
    text = ["# Cost of a training step", "", *INTRODUCTION.splitlines(), ""]
    text += [f"- {key}: {value}" for key, value in results["environment"].items()]
    for size, rows in results["sizes"].items():
        columns = {key: column for key, column in COLUMNS.items() if key in rows["plain"]}
        text += ["", f"## {size} x {size}", ""]
        text += [
            f"| method | {' | '.join(title for title, _ in columns.values())} |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for name, row in rows.items():
            cells = [format(row[key], form) for key, (_, form) in columns.items()]
            text.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(text) + "\n"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="write OUTPUT.json and OUTPUT.md")
    parser.add_argument(
        "--small", action="store_true", help="seconds instead of minutes: a narrow ResNet-18 at 32 x 32"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--rounds", type=int, default=9, help="0 counts FLOPs alone")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--depth", type=int, choices=(18, 34), default=34)
    parser.add_argument("--planes", type=int, nargs=4, default=[64, 128, 256, 512], help="channels of the four stages")
    parser.add_argument("--oct-channels", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--memory-of", choices=list(balancers()), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    if options.small:
        options.sizes, options.rounds, options.depth, options.oct_channels = [32], 3, 18, 16
        options.planes, options.memory = [16, 32, 64, 128], False
    return options


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure and print; with `--output` also write."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(memory_of(options))
        return {}
    results = {
        "environment": environment(options),
        "sizes": {str(size): measure_size(options, size) for size in options.sizes},
    }
    print(table(results))
    if options.output:
        write_json(options.output.with_suffix(".json"), results)
        write_atomic(options.output.with_suffix(".md"), table(results))
    return results


if __name__ == "__main__":
    main()
