"""The file of a checkpoint: which is the newest whole one, whose it is, and what a killed save left behind."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medmd.utils import MedmdError, archive_is_whole, check_fields, differences, load_tensors

_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"^checkpoint-(\d{8})\.pt$")
_DAMAGED = ".damaged"
_FIELDS = {"fingerprint": str, "iteration": int, "epoch": int, "finished": bool, "objects": dict}
# As `atomic_path` names them: eight characters of mkstemp and the ending of the file.
_LEFTOVER = re.compile(r"^\.tmp-[a-z0-9_]{8}(\.\w+)*$")


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints of a stage, oldest first."""
    found = [path for path in folder.glob("checkpoint-*.pt") if _NAME.match(path.name)]
    return sorted(found, key=lambda path: path.name)


def find_whole(folder: Path, *, insist: bool) -> Path | None:
    """The newest checkpoint that is whole. Damaged ones that are newer get another name.

    Args:
        folder: of the stage.
        insist: refuse, instead of letting the stage begin anew, when checkpoints are there and none is whole.

    Raises:
        MedmdError: as said; nothing was renamed then.
    """
    damaged: list[Path] = []
    for path in reversed(checkpoint_files(folder)):
        if _is_whole(path):
            _set_aside(damaged, "the one before it is used")
            return path
        damaged.append(path)
    lost = [*damaged, *folder.glob(f"checkpoint-*{_DAMAGED}")]
    if lost and insist:
        msg = (
            f"{folder}: every checkpoint is damaged ({', '.join(sorted(path.name for path in lost))}). Put a copy "
            f"back, or leave --resume True out: then the stage {folder.name} begins anew, from its first step."
        )
        raise MedmdError(msg)
    _set_aside(damaged, "it is set aside")
    if lost:
        _LOGGER.warning("%s: no checkpoint is whole; the stage begins anew, from its first step.", folder.name)
    return None


def read_checkpoint(path: Path, *, briefly: bool = False) -> dict[str, Any]:
    """Read a file without running code from it.

    Args:
        path: of the checkpoint.
        briefly: leave the tensors on the disk, for who looks at the rest only.

    Raises:
        MedmdError: it is no checkpoint of this package.
    """
    state = load_tensors(path, role="checkpoint", mmap=briefly)
    check_fields(state, _FIELDS, path=path, role="checkpoint")
    return state


def require_own(path: Path, state: Mapping[str, Any], *, fingerprint: str, identity: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another run or another stage.

    Args:
        path: of the checkpoint; its folder is named as the stage.
        state: what it holds.
        fingerprint: of this run.
        identity: what the fingerprint stands for: `settings`, nested, and `datalist_sha256`.

    Raises:
        MedmdError: with the settings that differ.
    """
    stage = state.get("stage", path.parent.name)
    if stage != path.parent.name:
        msg = f"{path} is a checkpoint of the stage {stage}, put into the folder of {path.parent.name}. Remove it."
        raise MedmdError(msg)
    if state["fingerprint"] == fingerprint:
        return
    changes = _changes(json.loads(state.get("identity", "{}")), identity)
    found = f"It differs in {'; '.join(changes)}" if changes else "Which settings differ is not recorded in it"
    msg = (
        f"{path} belongs to another configuration or other data (fingerprint {state['fingerprint'][:12]}, now "
        f"{fingerprint[:12]}). {found}. Remove the file if it was put there by hand; else choose another --output_dir, "
        "or start anew with --resume False."
    )
    raise MedmdError(msg)


def check_checkpoints(folder: Path, *, fingerprint: str, identity: Mapping[str, Any]) -> None:
    """Refuse a foreign checkpoint now, not when its stage begins, which may be hours later.

    Args:
        folder: of a stage, or one that does not exist. A damaged checkpoint is left to the stage.
        fingerprint: of this run.
        identity: what the fingerprint stands for.

    Raises:
        MedmdError: the newest checkpoint belongs to another run or stage.
    """
    for path in checkpoint_files(folder)[-1:]:
        try:
            state = read_checkpoint(path, briefly=True)
        except MedmdError:
            return
        require_own(path, state, fingerprint=fingerprint, identity=identity)


def remove_leftovers(folder: Path) -> int:
    """Remove the temporary files of saves that were killed.

    Args:
        folder: looked through with all that is below it.

    Returns:
        How many there were.
    """
    found = [path for path in folder.rglob(".tmp-*") if _LEFTOVER.match(path.name) and path.is_file()]
    for path in found:
        path.unlink(missing_ok=True)
    if found:
        _LOGGER.info("Removed %d temporary files of a save that was broken off.", len(found))
    return len(found)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    if not old:
        return []
    changes = differences(old.get("settings", {}), new.get("settings", {}))
    if old.get("datalist_sha256") != new.get("datalist_sha256"):
        changes.append("the datalist's content")
    return changes


def _set_aside(damaged: list[Path], then: str) -> None:
    for path in damaged:
        _LOGGER.warning("%s is damaged; %s.", path.name, then)
        # Under its name it would count as the newest, and a good one would be removed in its place.
        path.replace(path.with_name(f"{path.name}{_DAMAGED}"))


def _is_whole(path: Path) -> bool:
    try:
        return archive_is_whole(path, role="checkpoint")
    except MedmdError as error:
        # What is not even an archive of this kind is no better than one that was cut short: the run can do without it.
        _LOGGER.warning("%s", error)
        return False
