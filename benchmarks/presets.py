"""What each preset costs on this machine: parameters, memory of a cached case, time and memory of a training step.

Each preset runs in a process of its own, on random inputs of its sizes, at its batch size; the median of a few steps.
Writes docs/results/presets.json and .md. Run it from the repository root on an otherwise idle machine:

    python benchmarks/presets.py
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from monai.bundle import ConfigParser

from medmd.balancing import SGM, Losses
from medmd.losses import MeanSquaredErrorLoss
from medmd.networks import MultimodalNetwork, build_network
from medmd.utils import write_atomic, write_json
from medmd.workflows import environment, resolve_literals

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "bundles" / "remd"
PRESETS = ("tiny", "default", "vit", "paper")


def main() -> None:
    """Measure every preset, or (inside the script) one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", help="folder of the results")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS), help="which to measure")
    parser.add_argument("--steps", type=int, default=5, help="steps whose median is taken (default: 5)")
    parser.add_argument("--only", choices=PRESETS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        sys.stdout.write(json.dumps(_measure(args.only, args.steps)))
        return
    rows = [_in_process(name, args.steps) for name in args.presets]
    result = {"seed": 0, "steps": args.steps, "environment": {**environment("cpu"), "cores": psutil.cpu_count()}}
    write_json(args.out / "presets.json", {**result, "presets": rows})
    write_atomic(args.out / "presets.md", _page(result, rows))
    print(_page(result, rows))


def _in_process(name: str, steps: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--only", name, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this very script
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(name: str, steps: int) -> dict[str, Any]:
    config = ConfigParser.load_config_files([str(BUNDLE / "train.json"), str(BUNDLE / "presets" / f"{name}.json")])
    sizes = {"oct": (1, *config["oct_size"]), "fundus": (3, config["fundus_size"], config["fundus_size"])}
    torch.manual_seed(0)
    network = build_network(resolve_literals(config, "network")).train()
    batch = int(config["batch_size"])
    inputs = {key: torch.randn(batch, *size) for key, size in sizes.items()}
    target = torch.randn(batch)
    first = _milliseconds(lambda: _unimodal_step(network, inputs, target), steps)
    second = _milliseconds(lambda: _fusion_step(network, inputs, target), steps)
    return {
        "preset": name,
        "sizes": {key: list(size) for key, size in sizes.items()},
        "batch_size": batch,
        "parameters": sum(each.numel() for each in network.parameters()),
        "cached_case_mib": round(sum(value[0].numel() * 4 for value in inputs.values()) / 2**20, 2),
        "pretrain_step_ms": round(first, 1),
        "train_step_ms": round(second, 1),
        "peak_memory_mib": round(peak_memory() / 2**20),
    }


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes.

    `ru_maxrss` would not do on Linux: it survives `exec`, so that a child starts with the peak of its parent.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _milliseconds(step: Any, steps: int) -> float:
    step()
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _unimodal_step(network: MultimodalNetwork, inputs: dict[str, torch.Tensor], target: torch.Tensor) -> None:
    for name, value in inputs.items():
        prediction, _ = network.forward_unimodal(name, value)
        MeanSquaredErrorLoss()(prediction, target).backward()


def _fusion_step(network: MultimodalNetwork, inputs: dict[str, torch.Tensor], target: torch.Tensor) -> None:
    loss = MeanSquaredErrorLoss()

    def closure() -> Losses:
        found = network(inputs)
        return Losses(loss(found.fusion, target), {name: loss(each, target) for name, each in found.unimodal.items()})

    SGM().backward(network, closure)


def _page(result: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    facts = result["environment"]
    lines = [
        "# What each preset costs",
        "",
        f"Written by `python benchmarks/presets.py` on {facts['cores']} cores, {facts['threads']} threads, torch "
        f"{facts['torch']}, revision {facts['git_revision'][:12]}; median of {result['steps']} steps, without the "
        "optimizer and without loading. Stage 1 trains both encoders, stage 2 is one SGM step with both probes. Memory "
        "is that of the whole process, without a cache.",
        "",
        "| preset | OCT | fundus | batch | parameters | MiB a cached case | stage 1 ms | stage 2 ms | memory MiB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['preset']} | {_size(row, 'oct')} | {_size(row, 'fundus')} | {row['batch_size']} "
        f"| {row['parameters'] / 1e6:.2f} M | {row['cached_case_mib']} | {row['pretrain_step_ms']} "
        f"| {row['train_step_ms']} | {row['peak_memory_mib']} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _size(row: dict[str, Any], name: str) -> str:
    return "x".join(map(str, row["sizes"][name]))


if __name__ == "__main__":
    main()
