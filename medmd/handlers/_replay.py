"""What is needed to run a bad step again: a small run folder that ends just before it, and a script."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medmd.engines import StepRecord
from medmd.handlers._history import History
from medmd.utils import write_atomic, write_json

FOLDER = "replay"
SCRIPT = "replay.py"
FACTS = "step.json"
# What makes a folder a run that can be gone on with.
_RUN_FILES = ("run.json", "config.json", "progress.json")


@dataclass(frozen=True)
class Fault:
    """A step that cannot stay.

    Attributes:
        stage: its stage.
        step: its number in the stage, from 1.
        epoch: its epoch, from 1.
        text: what happened, in sentences.
        record: its cases, or `None` when they are not known.
    """

    stage: str
    step: int
    epoch: int
    text: str
    record: StepRecord | None


def write_replay(folder: Path, fault: Fault, history: History) -> Path:
    """Write `replay/<stage>-step-<n>/` into a run's folder.

    It holds the run's own description, the newest checkpoint of every stage, `history.csv` up to the fault, what the
    step's cases gave (`step.json`), and `replay.py`, which goes on from the checkpoint in a scratch folder up to the
    step and shows it. Since runs are exact, it is the same step. An earlier replay of the same step is replaced.

    Args:
        folder: of the run.
        fault: the step.
        history: the run's numbers.

    Returns:
        The script.

    Raises:
        OSError: it cannot be written.
    """
    place = folder / FOLDER / f"{fault.stage}-step-{fault.step}"
    (place / "checkpoints").mkdir(parents=True, exist_ok=True)
    for name in _RUN_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, place / name)
    for stage in sorted((folder / "checkpoints").glob("*/")):
        _copy_newest(stage, place / "checkpoints" / stage.name)
    history.write(place / "history.csv")
    write_json(place / FACTS, _facts(folder, fault))
    script = Path(__file__).with_name("_replay_script.py").read_text(encoding="utf-8")
    write_atomic(place / SCRIPT, script)
    return place / SCRIPT


def _copy_newest(source: Path, goal: Path) -> None:
    newest = sorted(source.glob("checkpoint-*.pt"))[-1:]
    if goal.exists():
        for old in goal.glob("checkpoint-*.pt"):
            old.unlink()
    for path in newest:
        goal.mkdir(exist_ok=True)
        try:
            # Checkpoints are never changed once they are written: a second name for the file costs no space.
            os.link(path, goal / path.name)
        except OSError:
            shutil.copyfile(path, goal / path.name)


def _facts(folder: Path, fault: Fault) -> dict[str, Any]:
    record = fault.record
    return {
        "stage": fault.stage,
        "step": fault.step,
        "epoch": fault.epoch,
        "what": fault.text,
        "working_folder": _way_up(folder / FOLDER / "step"),
        "losses": {} if record is None else {name: _plain(value) for name, value in record.loss_values().items()},
        "cases": [] if record is None else case_rows(record),
    }


def case_rows(record: StepRecord) -> list[dict[str, Any]]:
    """By case what a step saw and gave, as plain JSON: numbers that are none as text, `None` where it has no such."""
    table = record.table()
    return [
        {"case_id": case}
        | {name: _plain(values[row]) if record.is_present(row, name) else None for name, values in table.items()}
        for row, case in enumerate(record.case_ids)
    ]


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _way_up(place: Path) -> str | None:
    """The way from the script's folder to where training was started, if it is above; its name is not told."""
    here, above = place.resolve(), Path.cwd().resolve()
    return "/".join([".."] * (len(here.parts) - len(above.parts))) if above in here.parents else None
