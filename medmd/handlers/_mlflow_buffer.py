"""What waits to be sent to MLflow, on disk: one line a record, in order, safe against an end at any moment."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from medmd.utils import write_json

# What is sent is cut off the file's beginning once it is this large, in bytes.
_LARGE = 1 << 20


class Waiting(NamedTuple):
    """The next records, and where in the file the last of them ends."""

    records: list[dict[str, Any]]
    end: int


class Buffer:
    """A queue of records in `<folder>/<name>.jsonl`, with the place up to which they were sent beside it.

    A record is appended in one write, so that an end of the process loses no earlier line; what it leaves of a line is
    recognised by the missing newline and dropped. The place is written after the sending: a record whose sending was
    not noted any more is sent again. One thread may append while another takes.

    Args:
        folder: of all buffers of the run; made when needed.
        name: of this one.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._name = name
        self._path = folder / f"{name}.jsonl"
        self._mark = folder / f"{name}.sent"
        self._lock = threading.Lock()
        self._file: int | None = None
        self._end = self._sent = 0
        if self._path.exists():
            self._open()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self._end > self._sent

    def append(self, record: dict[str, Any]) -> None:
        """Add a record at the end."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if self._file is None:
                self._open()
            self._write(line)

    def peek(self, most: int = 64) -> Waiting:
        """The next records, `most` at most, without taking them away. Lines that are no records are passed over."""
        with self._lock:
            records, end = [], self._sent
            for line in self._lines():
                end += len(line)
                records += _parsed(line)
                if len(records) == most:
                    break
            return Waiting(records, end)

    def acknowledge(self, end: int) -> None:
        """Note that everything up to `end` was sent."""
        with self._lock:
            self._sent = end
            if end == self._end and end > _LARGE and self._file is not None:
                # The place first: an end between the two sends again what was sent, and loses nothing.
                self._sent = self._end = 0
                self._note()
                os.ftruncate(self._file, 0)
            else:
                self._note()

    def all_waiting(self) -> list[dict[str, Any]]:
        """Every record that waits."""
        return self.peek(most=-1).records

    def keep(self, source: Path) -> Path:
        """The file as it is now, until it is sent: it may be replaced, moved or removed meanwhile."""
        files = self.folder / "files"
        number = 1 + max((int(path.name) for path in files.glob("*") if path.name.isdecimal()), default=0)
        place = files / str(number) / source.name
        place.parent.mkdir(parents=True)
        try:
            # Takes no time and no space. What replaces the file gets another place on the disk.
            os.link(source, place)
        except OSError:
            shutil.copyfile(source, place)
        return place

    def drop(self, copy: Path) -> None:
        """Remove what `keep` made; any other file stays."""
        if copy.parent.parent == self.folder / "files":
            shutil.rmtree(copy.parent, ignore_errors=True)

    def set_aside(self, content: dict[str, Any]) -> str:
        """Keep what the store will never take in a file of its own, and return where it is in the run's folder."""
        number = 1 + len(list(self.folder.glob("refused-*.json")))
        write_json(self.folder / f"refused-{number}.json", content)
        return f"{self.folder.name}/refused-{number}.json"

    def remove(self) -> None:
        """Remove the buffer's files, and the folder when nothing else is in it."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
            self._file, self._end, self._sent = None, 0, 0
            for path in (self._path, self._mark):
                path.unlink(missing_ok=True)
        for folder in (self.folder / "files", self.folder):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def others(self) -> list[str]:
        """Names of other buffers in the folder that hold records."""
        found = sorted(path.stem for path in self.folder.glob("*.jsonl") if path != self._path)
        return [name for name in found if Buffer(self.folder, name)]

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        content = self._path.read_bytes()
        self._end = content.rfind(b"\n") + 1
        if self._end < len(content):
            os.ftruncate(self._file, self._end)
        self._sent = min(self._noted(), self._end)

    def _write(self, line: bytes) -> None:
        file: int = self._file  # type: ignore[assignment]
        # Asked, not counted: Ctrl-C may have come between a write and its count.
        before = os.fstat(file).st_size
        if os.write(file, line) < len(line):
            # A full disk takes a part: it must not become the beginning of the next record.
            os.ftruncate(file, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._end = before + len(line)

    def _lines(self) -> Iterable[bytes]:
        if not self:
            return
        with self._path.open("rb") as file:
            file.seek(self._sent)
            while file.tell() < self._end:
                yield file.readline()

    def _note(self) -> None:
        temporary = self._mark.with_suffix(".tmp")
        temporary.write_text(str(self._sent), encoding="ascii")
        temporary.replace(self._mark)

    def _noted(self) -> int:
        text = self._mark.read_text(encoding="ascii", errors="replace") if self._mark.exists() else ""
        return int(text) if text.isdecimal() else 0


def _parsed(line: bytes) -> list[dict[str, Any]]:
    try:
        record = json.loads(line)
    except ValueError:
        return []
    return [record] if isinstance(record, dict) else []
