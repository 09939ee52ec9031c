"""The folder a converter writes: its own or none, finishable after an interruption, and quick to make again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medmd.utils import MedmdError, read_json, sha256_file, write_atomic, write_json

MARKER = ".medmd-conversion.json"
JOURNAL = ".medmd-files.jsonl"
# What `medmd.utils.atomic_path` leaves behind when the process is killed.
_TEMPORARY = ".tmp-"


class OutputFolder:
    """A folder of which one conversion is the only writer.

    A marker names the converter and its arguments; a journal says of each file from which input it was made and what it
    holds. A later run with equal arguments keeps the files whose input and content are unchanged, makes the others, and
    removes files of its own that are no longer part of the result. A conversion that never finished may be taken over
    with other arguments. Files that are in no journal are never removed.

    Args:
        path: the folder; made when absent.
        converter: name of the converter.
        arguments: what the result depends on, as JSON values.

    Raises:
        MedmdError: the folder holds something else, or a finished conversion with other arguments.
    """

    def __init__(self, path: str | Path, *, converter: str, arguments: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._marker = {"converter": converter, "arguments": json.loads(json.dumps(arguments)), "finished": False}
        found = _check_owner(self.path, self._marker)
        self.path.mkdir(parents=True, exist_ok=True)
        for leftover in self.path.rglob(f"{_TEMPORARY}*"):
            leftover.unlink()
        if not found.get("finished"):
            write_json(self.path / MARKER, self._marker)
        self._known = _read_journal(self.path / JOURNAL)
        self._kept: dict[str, dict[str, str]] = {}

    def reusable(self, name: str, *, made_from: str) -> str | None:
        """SHA-256 of a file that an earlier run made from the same input and that is still intact, else None."""
        entry = self._known.get(name)
        if entry is None or entry["made_from"] != made_from or not (self.path / name).is_file():
            return None
        return entry["sha256"] if sha256_file(self.path / name) == entry["sha256"] else None

    def record(self, name: str, *, made_from: str, sha256: str) -> None:
        """Note that the file is in place and belongs to the result."""
        entry = {"file": name, "made_from": made_from, "sha256": sha256}
        self._kept[name] = entry
        if self._known.get(name) != entry:
            self._known[name] = entry
            with (self.path / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(_line(entry))

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file of the result and record it."""
        write_json(self.path / name, content)
        self.record_written(name)

    def record_written(self, name: str) -> None:
        """Record a file that is made anew in every run."""
        self.record(name, made_from="", sha256=sha256_file(self.path / name))

    def discard(self, names: Iterable[str]) -> None:
        """Take files that were recorded in this run out of the result."""
        for name in names:
            self._kept.pop(name, None)

    def finish(self) -> None:
        """Remove own files that are no longer part of the result and leave the journal in a fixed order."""
        for name in set(self._known) - set(self._kept):
            (self.path / name).unlink(missing_ok=True)
        write_atomic(self.path / JOURNAL, "".join(_line(self._kept[name]) for name in sorted(self._kept)))
        self._known = dict(self._kept)
        write_json(self.path / MARKER, {**self._marker, "finished": True})


def check_apart(source: Path, out: Path) -> None:
    """Check that the output does not lie in what is only read.

    Raises:
        MedmdError: it does.
    """
    if out.resolve().is_relative_to(source.resolve()):
        msg = f"{out}: the output lies in the source folder, which is only read. Name a folder outside {source}."
        raise MedmdError(msg)


def _check_owner(path: Path, marker: dict[str, Any]) -> dict[str, Any]:
    """The marker that is there, empty when the folder is new; refuses any other folder."""
    if path.exists() and not path.is_dir():
        msg = f"{path}: expected a folder to write to, got a file. Name another folder."
        raise MedmdError(msg)
    contents = [item.name for item in path.iterdir() if not item.name.startswith(_TEMPORARY)] if path.exists() else []
    if not contents:
        return {}
    found = read_json(path / MARKER) if MARKER in contents else None
    if not isinstance(found, dict) or found.get("converter") != marker["converter"]:
        msg = f"{path}: the folder holds files of another origin; it is left alone. Name a new or empty folder."
        raise MedmdError(msg)
    if found.get("finished") and found.get("arguments") != marker["arguments"]:
        msg = (
            f"{path}: the folder holds a finished conversion with {json.dumps(found.get('arguments'))}; asked for "
            f"{json.dumps(marker['arguments'])}. Name another folder, or remove this one."
        )
        raise MedmdError(msg)
    return found


def _read_journal(path: Path) -> dict[str, dict[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {entry["file"]: entry for line in lines if (entry := _entry(line))}


def _entry(line: str) -> dict[str, str] | None:
    """One line of the journal; None for the last line of a killed run, which may be cut: its file is made again."""
    try:
        found = json.loads(line)
        return {key: str(found[key]) for key in ("file", "made_from", "sha256")}
    except (ValueError, KeyError, TypeError):
        return None


def _line(entry: dict[str, str]) -> str:
    return json.dumps(entry) + "\n"
