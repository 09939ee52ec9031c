"""What is known of every file from earlier runs, so that a run reads only what is new or changed.

The index stays in the output: it holds keyed digests, moved days and measured facts, and no place, name, number or true
day of the export.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data_prep.hospital._facts import Scanned
from medmd import __version__
from medmd.utils import MedmdError

INDEX = ".medmd-index.sqlite"
# Raise it when other facts are kept or measured otherwise; another version of medmd may read otherwise as well.
_RECIPE = f"1 of medmd {__version__}"
# A killed run loses at most so many files' reading.
_BATCH = 64
_PUT = "INSERT OR REPLACE INTO files VALUES (:pointer, :stamp, :digest, :reason, :detail, :fix, :examinations, :parts)"
_GET = "SELECT pointer, digest, reason, detail, fix, examinations, parts FROM files ORDER BY pointer"
_MAKE = """CREATE TABLE IF NOT EXISTS files (
    pointer TEXT PRIMARY KEY, stamp TEXT, digest TEXT, reason TEXT, detail TEXT, fix TEXT, examinations TEXT, parts TEXT
) WITHOUT ROWID"""


class Index:
    """The table of files, for one process at a time. Every file is in it whole or not at all.

    Args:
        path: the database, made when absent; made anew when it is damaged or of another version of medmd.

    Raises:
        MedmdError: another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting = 0
        try:
            self._base = _open(path)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            msg = f"{path.parent}: another conversion writes to this folder. Wait until it ends."
            raise MedmdError(msg) from None
        except sqlite3.DatabaseError:
            path.unlink()
            self._base = _open(path)

    def stamps(self) -> dict[str, str]:
        """Pointer of each known file -> the stamp of its size and time when it was read."""
        return dict(self._base.execute("SELECT pointer, stamp FROM files"))

    def digest(self, pointer: str) -> str | None:
        """The keyed digest of a file's bytes when it was read."""
        row = self._base.execute("SELECT digest FROM files WHERE pointer = ?", (pointer,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, scanned: Scanned, *, stamp: str) -> None:
        """Note what was found in a file."""
        row = {
            **{name: getattr(scanned, name) for name in ("pointer", "digest", "reason", "detail", "fix")},
            "stamp": stamp,
            "examinations": json.dumps(scanned.examinations, sort_keys=True),
            "parts": " ".join(scanned.parts),
        }
        self._base.execute(_PUT, row)
        self._waiting += 1
        if self._waiting >= _BATCH:
            self.commit()

    def forget(self, pointers: Iterable[str]) -> None:
        """Remove files that are gone."""
        self._base.executemany("DELETE FROM files WHERE pointer = ?", ((pointer,) for pointer in pointers))
        self.commit()

    def files(self) -> Iterator[Scanned]:
        """All known files in the order of their pointers."""
        self.commit()
        for pointer, digest, reason, detail, fix, examinations, parts in self._base.execute(_GET):
            found: tuple[dict[str, Any], ...] = tuple(json.loads(examinations))
            yield Scanned(
                pointer=pointer,
                digest=digest,
                reason=reason,
                detail=detail,
                fix=fix,
                examinations=found,
                parts=tuple(parts.split()),
            )

    def commit(self) -> None:
        """Bring to disk what was put."""
        self._base.commit()
        self._waiting = 0

    def close(self) -> None:
        """Bring everything to disk and let others in."""
        self._base.commit()
        # Leaving the exclusive mode takes effect, and removes the journal, at the next access.
        self._base.execute("PRAGMA locking_mode = NORMAL")
        self._base.execute("SELECT recipe FROM about").fetchone()
        self._base.close()


def _open(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=0.5)
    # A rollback journal: nothing lies beside the database once it is closed. The lock is kept until then.
    base.execute("PRAGMA journal_mode = DELETE")
    base.execute("PRAGMA locking_mode = EXCLUSIVE")
    base.execute("BEGIN EXCLUSIVE")
    base.execute("CREATE TABLE IF NOT EXISTS about (recipe TEXT)")
    if base.execute("SELECT recipe FROM about").fetchall() != [(_RECIPE,)]:
        base.execute("DROP TABLE IF EXISTS files")
        base.execute("DELETE FROM about")
        base.execute("INSERT INTO about VALUES (?)", (_RECIPE,))
    base.execute(_MAKE)
    base.commit()
    return base
