"""What a run will write, against what is free where it writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medmd.workflows.preflight._network import NetworkCost
from medmd.workflows.preflight._output import nearest_folder
from medmd.workflows.preflight._report import REFUSAL, WARNING, Problem, size

# Measured on runs of the bundle: the report with its figures, tables and, when tracked, the data base.
_REPORT = 3 << 20
_DATA_BASE = 2 << 20
# A number of the history: in memory and checkpoints 40 bytes, in the CSV some 45, in the data base some 200.
_NUMBERS_A_STEP = 20
_IN_CHECKPOINT, _IN_CSV, _IN_DATA_BASE = 40, 45, 200
# Measured: an eye of the phantom cohort, volume and photograph.
_PHANTOM_EYE = 210 << 10
_WARN_FROM = 0.8


@dataclass(frozen=True, kw_only=True)
class DiskPlan:
    """The numbers from which the size of a run's folder follows.

    Args:
        steps: optimizer steps of both stages together.
        training_stages: how many stages train, 0 to 2.
        keep_checkpoints: how many stay of each stage.
        tracking: whether model, report and the last checkpoints are copied into MLflow's folder.
    """

    steps: int
    training_stages: int = 2
    keep_checkpoints: int = 2
    tracking: bool = True


def run_bytes(plan: DiskPlan, network: NetworkCost) -> int:
    """Bytes of the run's folder at its fullest moment."""
    numbers = plan.steps * _NUMBERS_A_STEP
    # Weights and best weights, and two moments of Adam; the new one is whole before the oldest goes.
    checkpoint = 2 * network.weights + 2 * network.parameters + numbers * _IN_CHECKPOINT
    files = plan.training_stages * plan.keep_checkpoints + (plan.training_stages > 0)
    total = files * checkpoint + network.weights + numbers * _IN_CSV + _REPORT
    if plan.tracking:
        copies = plan.training_stages * checkpoint + network.weights + _REPORT + numbers * _IN_CSV
        total += copies + numbers * _IN_DATA_BASE + _DATA_BASE
    return total


def disk_problems(output_dir: str | Path, needed: int) -> Iterator[Problem]:
    """A refusal when `needed` bytes do not fit beside what the folder already holds."""
    folder = Path(output_dir)
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    yield from _short(
        "keep_checkpoints",
        folder,
        max(0, needed - held),
        "Lower keep_checkpoints, free some space, or name an output_dir on another disk.",
    )


def phantom_problems(phantom_dir: str | Path, eyes: int) -> Iterator[Problem]:
    """Likewise for a phantom cohort that will be made."""
    fix = "Name a phantom_dir on another disk, or lower phantom#n."
    yield from _short("phantom_dir", Path(phantom_dir), eyes * _PHANTOM_EYE, fix)


def _short(setting: str, folder: Path, needed: int, fix: str) -> Iterator[Problem]:
    free = shutil.disk_usage(nearest_folder(folder)).free
    if needed <= _WARN_FROM * free:
        return
    yield Problem(
        setting=setting,
        what="the disk will be nearly full" if needed <= free else "the disk has too little space",
        found=f"{size(free)} free at {nearest_folder(folder)}",
        expected=f"{size(needed)} that will be written",
        fix=fix,
        level=WARNING if needed <= free else REFUSAL,
    )
