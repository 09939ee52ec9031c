"""The folder of a run: whose it is, whether it goes on, and what stands in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medmd.utils import MedmdError, differences, read_json, write_json
from medmd.workflows._lock import LOCK_FILE
from medmd.workflows._scrub import scrub

RUN_FILE = "run.json"
CONFIG_FILE = "config.json"
# The planned length of a stage: more of it continues a run, see `_longer`.
LENGTHS = {"pretrain": "pretrain_epochs", "train": "train_epochs"}
# What may differ between two starts of one run: places, speed, and what is shown. Everything else makes another run.
_FREE_KEYS = frozenset(
    {
        "bundle_root", "dataset_dir", "phantom_dir", "output_dir", "resume", "stages", "num_workers", "cache_workers",
        "preflight", "cache",
        "log_every", "checkpoint_every", "keep_checkpoints", "nonfinite", "max_skipped", "track", "experiment",
        "run_name", "device", "threads", "debug", "imports", "initialize", "run", "finalize",
    }
)  # fmt: skip


def fingerprint(config: dict[str, Any], digest: str) -> str:
    """Identifies what is computed: raw configuration without places, speed and lengths, and the datalist's digest."""
    text = json.dumps([_settings(config), digest], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def identity(config: dict[str, Any], digest: str) -> dict[str, Any]:
    """What the fingerprint stands for, as plain data without paths: `settings` and `datalist_sha256`."""
    return {"settings": scrub(json.loads(json.dumps(_settings(config), default=str))), "datalist_sha256": digest}


def is_length(name: str, value: Any) -> bool:
    """Whether a top-level setting is the plain number of epochs of a stage."""
    return name in LENGTHS.values() and isinstance(value, int) and not isinstance(value, bool)


def is_private(name: str) -> bool:
    """Whether a top-level name is a remark or MONAI's own, such as `_desc_` and `_meta_`, and no setting."""
    return name.startswith("_")


def open_folder(
    folder: Path, config: dict[str, Any], digest: str, resume: str | bool, check: Callable[..., None] | None = None
) -> bool:
    """Make the folder of a run ready.

    Args:
        folder: of the run.
        config: raw configuration of this start.
        digest: of the datalist.
        resume: `"auto"` goes on with the same run, or begins one; `True` insists on one that was begun; `False` begins
            anew and moves what is there aside, to a folder with a number behind its name.
        check: called as `check(goes_on=…)` before anything is touched; may raise.

    Returns:
        Whether a run that was begun goes on.

    Raises:
        MedmdError: the folder holds something else, or another run; the text names the settings that differ.
    """
    if resume not in ("auto", True, False):
        msg = f'resume must be "auto", True or False, got {resume!r}.'
        raise MedmdError(msg)
    goes_on = _goes_on(folder, config, digest, resume)
    if check is not None:
        check(goes_on=goes_on)
    if resume is False and not is_empty(folder):
        _move_aside(folder)
    return goes_on


def _goes_on(folder: Path, config: dict[str, Any], digest: str, resume: str | bool) -> bool:
    if folder.exists() and not folder.is_dir():
        msg = f"output_dir: {folder} is a file. Name a folder."
        raise MedmdError(msg)
    if is_empty(folder):
        if resume is True:
            msg = f"resume: there is no run in {folder} to go on with. Leave resume out to begin one."
            raise MedmdError(msg)
        return False
    if not (folder / RUN_FILE).is_file():
        msg = f"output_dir: {folder} is not empty and holds no run. Choose an empty folder; nothing in it was touched."
        raise MedmdError(msg)
    if resume is False:
        return False
    changes = _changes(folder, config, digest)
    if changes and (resume is True or not _holds_only(folder, LOCK_FILE, RUN_FILE, CONFIG_FILE)):
        msg = (
            f"output_dir: {folder} holds a run that differs in {'; '.join(changes)}. "
            "Choose another --output_dir, or start anew with --resume False (the old run is moved aside, not deleted)."
        )
        raise MedmdError(msg)
    # A start that ended before anything was computed, mostly over a wrong setting, makes room for the corrected one.
    return not changes


def is_empty(folder: Path) -> bool:
    """Whether nothing is there, a lock and the beginnings of a first file of a start that was killed aside."""
    return _holds_only(folder, LOCK_FILE)


def _holds_only(folder: Path, *names: str) -> bool:
    return not folder.exists() or all(path.name in names or path.name.startswith(".tmp-") for path in folder.iterdir())


def _changes(folder: Path, config: dict[str, Any], digest: str) -> list[str]:
    """In what the run of the folder differs from the one that is asked for; empty when it is the same."""
    known = read_json(folder / RUN_FILE)
    if known.get("fingerprint") == fingerprint(config, digest):
        return []
    # Absent when the run was killed while its folder was made.
    path = folder / CONFIG_FILE
    changes = differences(_settings(read_json(path)), _settings(config)) if path.is_file() else []
    if known.get("datalist_sha256") != digest:
        changes.append("the datalist's content")
    return changes or ["its settings"]


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that make another run when they differ."""
    return {
        name: value
        for name, value in config.items()
        if not (name in _FREE_KEYS or is_private(name) or is_length(name, value))
    }


def _move_aside(folder: Path) -> None:
    number = 1
    while folder.with_name(f"{folder.name}.{number}").exists():
        number += 1
    folder.rename(folder.with_name(f"{folder.name}.{number}"))


def write_run_file(folder: Path, content: dict[str, Any], config: dict[str, Any]) -> None:
    """Write what identifies the run, then its configuration."""
    write_json(folder / RUN_FILE, content)
    write_json(folder / CONFIG_FILE, json.loads(json.dumps(config, default=str)))
