"""Tell what is installed, what the machine offers and what is missing. Attach the output to a report of a fault."""

from __future__ import annotations

import argparse
import json
from typing import Any

from medmd.commands._environment import describe_environment

_GIB = 1024**3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON, for a program to read")


def run(args: argparse.Namespace) -> int:
    """Print the description; the exit code is 1 when a requirement of the package itself is not met."""
    found = describe_environment()
    print(json.dumps(found, indent=2) if args.json else "\n".join(_lines(found)))
    return 1 if found["problems"] else 0


def _lines(found: dict[str, Any]) -> list[str]:
    rows = [
        ("medmd", found["medmd"]),
        ("python", f"{found['python']['version']} on {found['python']['platform']}"),
        *((name, version or "absent") for name, version in found["packages"].items()),
        ("cpu", _cpu(found["devices"]["cpu"])),
        ("cuda", "; ".join(map(_cuda, found["devices"]["cuda"])) or "none"),
        ("mps", "yes" if found["devices"]["mps"] else "no"),
        ("memory", f"{_gib(found['memory']['available'])} free of {_gib(found['memory']['total'])}"),
        ("disk", f"{_gib(found['disk']['free'])} free in the working directory"),
        ("mlflow tracking", found["mlflow_tracking_uri"] or "the run's own database in its output folder"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    lines += [
        f"extra {name}: {', '.join(extra['missing'])} not installed; get it in the clone with: {extra['install']}"
        for name, extra in found["extras"].items()
        if extra["missing"]
    ]
    return lines + [f"problem: {problem}" for problem in found["problems"]]


def _cpu(cpu: dict[str, Any]) -> str:
    native = {True: "native", False: "emulated", None: "unknown"}[cpu["bfloat16_native"]]
    return f"{cpu['cores']} cores, {cpu['threads']} threads for torch, {cpu['capability']}, bfloat16 {native}"


def _cuda(device: dict[str, Any]) -> str:
    bfloat16 = "with" if device["bfloat16_native"] else "without"
    return f"{device['name']}, {_gib(device['memory'])}, {bfloat16} native bfloat16"


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
