"""The same training twice, with other numbers of workers and of threads: what is equal, what differs by how much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from benchmarks._reliability_bench import Bench
from benchmarks._reliability_compare import compare_runs, is_same, leaves
from medmd.utils import read_json, write_json

Tell = Callable[[str], None]
# What is changed, and what must not change with it.
VARIATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "again": ("the same start again", {}),
    "plain": ("a new Python instead of a copy of one that has imported everything", {"plain": True}),
    "workers-1": ("1 worker loads the batches, not 0", {"num_workers": 1}),
    "workers-2": ("2 workers load the batches, not 0", {"num_workers": 2}),
    "cache-1": ("1 thread fills the cache, not 2", {"cache_workers": 1}),
    "no-cache": ("nothing is cached", {"cache": False}),
    "log-1": ("the host reads the numbers every iteration, not every 10", {"log_every": 1}),
    "untracked": ("no tracking", {"track": False}),
}


def measure_equality(bench: Bench, tell: Tell) -> dict[str, Any]:
    """Compare each variation with the undisturbed run, and 2 threads with 1."""
    expected, _ = bench.undisturbed("undisturbed/run")
    found = {}
    for name, (title, options) in VARIATIONS.items():
        found[name] = _vary(bench, expected, name, title, options)
        tell(f"{title}: {'equal' if found[name]['equal'] else found[name]['differences'][0]}")
    threads = _threads(bench, expected)
    tell(f"2 threads against 1: {threads['leaves_that_differ']} of {threads['leaves']} leaves differ")
    return {"variations": found, "threads": threads}


def _vary(bench: Bench, expected: Path, name: str, title: str, options: dict[str, Any]) -> dict[str, Any]:
    note = bench.work / "equality" / f"{name}.json"
    if not note.exists():
        folder, _ = bench.undisturbed(f"equality/{name}/run", **options)
        compared = compare_runs(expected, folder, tracked=options.get("track", True))
        told = [line for line in compared.differences if not _is_recorded(line, options)]
        write_json(
            note,
            {
                "title": title,
                "equal": not told,
                "differences": told,
                "files": compared.files,
                "leaves": compared.leaves,
            },
        )
    return dict(read_json(note))


def _is_recorded(line: str, options: dict[str, Any]) -> bool:
    """Whether a difference is the record of the changed setting itself, or what it switches off."""
    if options.get("track") is False and ("mlruns" in line or "mlflow_run" in line):
        return True
    return any(f'"{name}"' in line or f"parameters {name}:" in line for name in options)


def _threads(bench: Bench, expected: Path) -> dict[str, Any]:
    """How far two threads lead away from one, and whether two threads give the same twice."""
    note = bench.work / "equality" / "threads.json"
    if not note.exists():
        first, again = (bench.undisturbed(f"equality/threads-2-{name}/run", threads=2)[0] for name in ("a", "b"))
        twice = compare_runs(first, again)
        write_json(
            note,
            {
                "twice_equal": not twice.differences,
                "twice_differences": twice.differences,
                **_checkpoint_distance(expected, first),
                "predictions": _prediction_distance(expected, first),
            },
        )
    return dict(read_json(note))


def _checkpoint_distance(expected: Path, found: Path) -> dict[str, Any]:
    """Of the last checkpoint of each stage, by kind of leaf."""
    stages: dict[str, Any] = {}
    total = differing = 0
    for stage in ("pretrain", "train"):
        first, second = (_last(folder, stage) for folder in (expected, found))
        differ = [name for name in first if not is_same(first[name], second.get(name))]
        total, differing = total + len(first), differing + len(differ)
        kinds: dict[str, list[str]] = {}
        for name in first:
            kinds.setdefault(_kind(name), []).append(name)
        stages[stage] = {
            kind: {"leaves": len(names), "differ": len(set(names) & set(differ)), **_distance(first, second, names)}
            for kind, names in kinds.items()
        }
    model = [load_file(folder / "model" / "model.safetensors") for folder in (expected, found)]
    return {
        "leaves": total,
        "leaves_that_differ": differing,
        "stages": stages,
        "model": {"leaves": len(model[0]), **_distance(model[0], model[1], list(model[0]))},
    }


def _last(folder: Path, stage: str) -> dict[str, Any]:
    path = sorted((folder / "checkpoints" / stage).glob("checkpoint-*.pt"))[-1]
    return dict(leaves(torch.load(path, weights_only=True)))


def _kind(name: str) -> str:
    """First two words of a leaf's place: `objects/network`, `objects/best`, or the counter's own name."""
    parts = name.strip("/").split("/")
    return parts[1] if parts[0] == "objects" else "counters"


def _distance(first: dict[str, Any], second: dict[str, Any], names: list[str]) -> dict[str, float]:
    """Largest difference of one number, and length of the difference relative to the length, over all of `names`."""
    pairs = [(_numbers(first[name]), _numbers(second.get(name))) for name in names]
    kept = [(a, b) for a, b in pairs if a is not None and b is not None and a.shape == b.shape and a.size]
    if not kept:
        return {"largest": 0.0, "relative": 0.0}
    one, other = (np.concatenate(each) for each in zip(*kept, strict=True))
    apart = np.nan_to_num(one - other)
    length = float(np.linalg.norm(np.nan_to_num(one)))
    return {"largest": float(np.abs(apart).max()), "relative": float(np.linalg.norm(apart)) / length if length else 0.0}


def _numbers(value: Any) -> np.ndarray | None:
    if isinstance(value, torch.Tensor):
        return value.double().flatten().numpy()
    return np.array([float(value)]) if isinstance(value, (int, float)) else None


def _prediction_distance(expected: Path, found: Path) -> dict[str, dict[str, float]]:
    """By column of predictions.csv: largest and root mean square difference in dB."""
    first, second = (pd.read_csv(folder / "predictions.csv") for folder in (expected, found))
    names = [str(name) for name in first if str(name).startswith(("fusion", "unimodal", "pretrain", "late_average"))]
    apart = {name: (first[name] - second[name]).dropna().to_numpy() for name in names}
    return {
        name: {"largest_db": float(np.abs(each).max()), "rms_db": float(np.sqrt(np.mean(each**2)))}
        for name, each in apart.items()
    }
