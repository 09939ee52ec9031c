"""Whether two finished runs are one and the same, file by file, number by number, bit by bit."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from benchmarks._reliability_store import read_store
from medmd.utils import read_json

# What may differ between two equal runs, and why. Nothing else may.
EXCLUDED = {
    "mlflow_run.json: run_id and start; tag medmd.start": "drawn at random, they identify the run",
    "mlruns.db, mlruns/<run id>/": "compared as runs, parameters, tags, metrics and artifacts; run id, start and end "
    "time and the time stamp of each point are left out",
    "config.json: output_dir, phantom_dir": "each run has its folder",
    "checkpoints/: older files than the newest of a stage": "a run killed between a save and the removal of the oldest "
    "keeps one more; those that both have are compared",
    ".tmp-* and *.damaged": "what a kill in the middle of a write leaves; counted",
    "how torch.save packs equal content": "checkpoints are compared leaf by leaf, in order; one whose leaves are equal "
    "and whose bytes are not is counted",
}
_STORE = ("mlruns.db", "mlruns.db-journal", "mlruns.db-wal", "mlruns.db-shm")
_OWN = {"config.json": ("output_dir", "phantom_dir"), "mlflow_run.json": ("run_id", "start")}


@dataclass
class Comparison:
    """What comparing two runs found.

    Attributes:
        differences: one line each; none means equal.
        files: how many were compared.
        leaves: tensors and numbers in checkpoints that were compared.
        points: numbers in the MLflow store that were compared.
        repacked: checkpoints of equal leaves and other bytes.
        repeated: points that the store holds more than once, each time with the same value.
        left_over: names of temporary, damaged and surplus files of the second run.
    """

    differences: list[str] = field(default_factory=list)
    files: int = 0
    leaves: int = 0
    points: int = 0
    repacked: int = 0
    repeated: int = 0
    left_over: list[str] = field(default_factory=list)


def compare_runs(expected: Path, found: Path, *, tracked: bool = True) -> Comparison:
    """Compare everything that two runs left, apart from `EXCLUDED`."""
    result = Comparison()
    _compare_folders(expected, found, result)
    if tracked:
        _compare_stores(expected, found, result)
    return result


def _compare_folders(expected: Path, found: Path, result: Comparison) -> None:
    ours, theirs = _files(expected), _files(found)
    spare = {name for name in theirs if _is_left_over(name)} | _older(ours, theirs)
    result.left_over += sorted(name for name in spare if name in theirs)
    for name in sorted((set(ours) | set(theirs)) - spare):
        if name not in ours or name not in theirs:
            result.differences.append(f"{name}: only in the {'killed' if name in theirs else 'undisturbed'} run")
            continue
        result.files += 1
        result.differences += [f"{name}: {line}" for line in _compare_files(ours[name], theirs[name], result)]


def _files(folder: Path) -> dict[str, Path]:
    """By relative name; the artifacts of the one MLflow run under a name without its id."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    own = str(read_json(folder / "mlflow_run.json").get("run_id")) if "mlflow_run.json" in found else "none"
    return {name.replace(own, "<run id>"): path for name, path in found.items() if name not in _STORE}


def _is_left_over(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    return last.startswith(".tmp-") or last.endswith(".damaged")


def _older(ours: dict[str, Path], theirs: dict[str, Path]) -> set[str]:
    """Checkpoints that one run lacks and of which it has newer ones of the same stage."""
    lone = [name for name in set(ours) ^ set(theirs) if name.startswith("checkpoints/")]
    both = set(ours) & set(theirs)
    return {
        name for name in lone if any(each > name and each.startswith(name.rsplit("/", 1)[0] + "/") for each in both)
    }


def _compare_files(ours: Path, theirs: Path, result: Comparison) -> list[str]:
    if ours.suffix == ".pt":
        return _compare_checkpoints(ours, theirs, result)
    if ours.name in _OWN:
        own = dict.fromkeys(_OWN[ours.name])
        first, second = (json.dumps({**read_json(path), **own}, indent=1) for path in (ours, theirs))
        return [] if first == second else [_first_difference(first, second)]
    if ours.read_bytes() == theirs.read_bytes():
        return []
    if ours.suffix in (".csv", ".json", ".md"):
        return [_first_difference(ours.read_text(encoding="utf-8"), theirs.read_text(encoding="utf-8"))]
    return ["other bytes"]


def _first_difference(first: str, second: str) -> str:
    pairs = zip_longest(first.splitlines(), second.splitlines(), fillvalue="(nothing)")
    number, (a, b) = next((n, pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    return f"line {number} is {_short(b)} instead of {_short(a)}"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."


def _compare_checkpoints(ours: Path, theirs: Path, result: Comparison) -> list[str]:
    first, second = (dict(leaves(torch.load(path, weights_only=True))) for path in (ours, theirs))
    result.leaves += len(first)
    lines = [f"{name}: only in one of them" for name in sorted(set(first) ^ set(second))]
    lines += [f"{name}: differs" for name in first if name in second and not is_same(first[name], second[name])]
    if not lines and list(first) != list(second):
        return ["its leaves come in another order"]
    result.repacked += not lines and ours.read_bytes() != theirs.read_bytes()
    return lines


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every tensor, number and text in nested dictionaries and lists, with its place."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{where}/{name}")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from leaves(item, f"{where}/{place}")
    else:
        yield where, value


def is_same(first: Any, second: Any) -> bool:
    """Equal type, shape and bits; a NaN equals a NaN."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        alike = first.dtype == second.dtype and first.shape == second.shape
        return alike and first.contiguous().numpy().tobytes() == second.contiguous().numpy().tobytes()
    return type(first) is type(second) and (first == second or (first != first and second != second))


def _compare_stores(expected: Path, found: Path, result: Comparison) -> None:
    if "run_id" not in read_json(found / "mlflow_run.json"):
        result.differences.append("MLflow: mlflow_run.json names no run")
        return
    ours, theirs = read_store(expected), read_store(found)
    result.points = sum(len(points) for points in theirs.points.values())
    result.repeated = theirs.repeated
    if len(theirs.statuses) != 1:
        result.differences.append(f"MLflow: {len(theirs.statuses)} runs ({', '.join(theirs.statuses)}) instead of one")
    if theirs.status != "FINISHED":
        result.differences.append(f"MLflow: the run is {theirs.status}")
    for kind in ("parameters", "tags", "points"):
        first, second = getattr(ours, kind), getattr(theirs, kind)
        result.differences += [
            f"MLflow: {kind} {name}: {_short(str(second.get(name)))} instead of {_short(str(first.get(name)))}"
            for name in sorted({*first, *second})
            if first.get(name) != second.get(name)
        ]
    result.differences += _compare_history(found, theirs.points)


def _compare_history(found: Path, points: dict[str, list[tuple[int, str]]]) -> list[str]:
    """Whether the store holds exactly the numbers of history.csv."""
    rows: dict[str, list[tuple[int, str]]] = {}
    with (found / "history.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            # An empty cell is a number that is none.
            value = repr(float(row["value"] or "nan"))
            rows.setdefault(f"{row['stage']}/{row['name']}", []).append((int(row["iteration"]), value))
    stored = {name: values for name, values in points.items() if not name.startswith("test/")}
    return [
        f"MLflow: {name} has {len(stored.get(name, []))} points, history.csv {len(rows.get(name, []))}, not the same"
        for name in sorted({*rows, *stored})
        if sorted(rows.get(name, [])) != stored.get(name, [])
    ]
