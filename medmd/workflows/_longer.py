"""More epochs for a run that was planned shorter: what goes on, what begins anew, and where the old result is."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medmd.utils import MedmdError, read_json, write_json
from medmd.workflows._folder import CONFIG_FILE, LENGTHS, RUN_FILE, is_length
from medmd.workflows._progress import Progress

_LOGGER = logging.getLogger(__name__)
EARLIER = "earlier"
_MOVED = ("predictions.csv", "report", "model", "datalist_header.json")
_COPIED = ("history.csv", "config.json")
_TRACKING = "mlflow_run.json"


class Longer(NamedTuple):
    """A stage that was begun and is now to last longer than planned."""

    stage: str
    before: int
    now: int

    def __str__(self) -> str:
        return f"{self.stage} {self.now} epochs instead of {self.before}"


def plan_longer(folder: Path, config: dict[str, Any], asked: Sequence[str]) -> list[Longer]:
    """Which stages of the run in `folder` are to last longer than they were planned.

    Args:
        folder: of a run that goes on.
        config: of this start.
        asked: the stages to run now.

    Raises:
        MedmdError: fewer epochs than planned for a stage that was begun, or more for one that is not to run now.
    """
    path = folder / CONFIG_FILE
    old = read_json(path) if path.is_file() else {}
    begun, found = Progress(folder).begun, list[Longer]()
    for stage, key in LENGTHS.items():
        before, now = _length(old, key), _length(config, key)
        if stage not in begun or before is None or now is None or before == now:
            continue
        if found:
            # The training after a longer pretraining begins anew: its length is free.
            continue
        change = Longer(stage, before, now)
        _require_more(folder, key, change, asked)
        found.append(change)
    return found


def after(changes: Sequence[Longer], progress: Progress) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The begun and the finished stages once `changes` are made."""
    again, anew = _undone(changes)
    begun = tuple(stage for stage in progress.begun if stage not in anew)
    return begun, tuple(stage for stage in progress.finished if stage not in {*again, *anew})


def begin_longer(folder: Path, config: dict[str, Any], changes: Sequence[Longer]) -> Path | None:
    """Put the results of the shorter run aside and record the new lengths; may be broken off and done again.

    A longer pretraining gives other weights to start the training from, so that this begins anew, as a new MLflow run.

    Args:
        folder: of the run.
        config: of this start.
        changes: as `plan_longer` found them.

    Returns:
        Where the earlier results are now, or `None` when there were none.
    """
    again, anew = _undone(changes)
    kept = _keep_results(folder, with_training="train" in anew) if changes else None
    if changes:
        progress = Progress(folder)
        progress.reopen(*again)
        progress.reopen(*anew, begun=False)
    _record(folder, config, changes, kept)
    for change in changes:
        _LOGGER.info(
            "More epochs: %s.%s%s",
            change,
            " The training after it begins anew." if "train" in anew else "",
            f" The earlier results are in {kept.relative_to(folder)}." if kept else "",
        )
    return kept


def _length(config: dict[str, Any], key: str) -> int | None:
    value = config.get(key)
    return value if isinstance(value, int) and is_length(key, value) else None


def _require_more(folder: Path, key: str, change: Longer, asked: Sequence[str]) -> None:
    if change.now < change.before:
        msg = (
            f"output_dir: {folder} holds a run that differs in {key} ({change.before} -> {change.now}). More epochs "
            "continue a run, fewer are another one: choose another --output_dir, or start anew with --resume False."
        )
        raise MedmdError(msg)
    if change.stage not in asked:
        msg = f"{key}: {change}, but stages does not name {change.stage}. Name it, or leave {key} at {change.before}."
        raise MedmdError(msg)


def _undone(changes: Sequence[Longer]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stages that are no longer finished, and those that begin anew."""
    stages = {change.stage for change in changes}
    if "pretrain" in stages:
        return ("pretrain", "evaluate"), ("train", "evaluate")
    return (("train", "evaluate"), ()) if stages else ((), ())


def _keep_results(folder: Path, *, with_training: bool) -> Path | None:
    training = folder / "checkpoints" / "train"
    moved = [folder / name for name in _MOVED if (folder / name).exists()]
    if with_training:
        moved += [path for path in (training, folder / _TRACKING) if path.exists()]
    if not moved:
        return None
    place = _free_place(folder)
    for path in [folder / name for name in _COPIED]:
        if path.exists():
            shutil.copy2(path, place / path.name)
    for path in moved:
        target = place / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    if (place / _TRACKING).exists():
        # Not without the file: its presence says that numbers were recorded which the new MLflow run must be told.
        write_json(folder / _TRACKING, {})
    return place


def _free_place(folder: Path) -> Path:
    old, begun = read_json(folder / CONFIG_FILE), Progress(folder).begun
    lengths = {stage: _length(old, key) for stage, key in LENGTHS.items() if stage in begun}
    name = "-".join(stage if length is None else f"{stage}-{length}" for stage, length in lengths.items())
    place, number = folder / EARLIER / name, 1
    while place.exists():
        place, number = folder / EARLIER / f"{name}.{number}", number + 1
    place.mkdir(parents=True)
    return place


def _record(folder: Path, config: dict[str, Any], changes: Sequence[Longer], kept: Path | None) -> None:
    """Write down the lengths of now. Last of all: until then, another start finds the same changes to make."""
    if changes:
        run = read_json(folder / RUN_FILE)
        where = None if kept is None else kept.relative_to(folder).as_posix()
        steps = [{**change._asdict(), "earlier_results": where} for change in changes]
        write_json(folder / RUN_FILE, {**run, "longer": [*run.get("longer", []), *steps]})
    old = read_json(folder / CONFIG_FILE)
    lengths = {key: config[key] for key in LENGTHS.values() if key in config}
    if {key: old.get(key) for key in lengths} != lengths:
        write_json(folder / CONFIG_FILE, {**old, **lengths})
