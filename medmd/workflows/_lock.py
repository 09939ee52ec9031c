"""One process at a time in the folder of a run."""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path

from medmd.utils import MedmdError

if sys.platform == "win32":  # pragma: no cover - another system
    import msvcrt
else:
    import fcntl

LOCK_FILE = ".lock"
_LOGGER = logging.getLogger(__name__)
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
# Closing a file would open its lock, so that each stays open as long as the process lives.
_HELD: dict[Path, int] = {}


def hold_folder(folder: Path, *, where: str = "output_dir") -> None:
    """Hold the folder, which is made when absent, until this process ends, in whatever way it does.

    The lock is the operating system's, on an empty file that stays: it needs no tidying up after `kill -9`, worker
    processes do not inherit it, and a start in the same process finds it its own.

    Args:
        folder: of a run.
        where: the setting that names it, for what is said.

    Raises:
        MedmdError: another process holds it.
    """
    path = folder.resolve() / LOCK_FILE
    if path in _HELD and _is_same(_HELD[path], path):
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(file)
    except OSError as error:
        if error.errno not in _TAKEN:
            # Some network file systems have no locks; they never kept two runs apart.
            _LOGGER.warning("The file system of %s has no locks: take care that no other run uses it.", where)
            return
        os.close(file)
        msg = (
            f"{where}: another process is training in this folder right now. Wait for its end, stop it, or choose "
            f"another --{where}; nothing in it was touched."
        )
        raise MedmdError(msg) from None
    _HELD[path] = file


def _lock(file: int) -> None:
    if sys.platform == "win32":  # pragma: no cover - another system
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        # Not flock: a forked worker that outlives a killed training would keep that one.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_same(file: int, path: Path) -> bool:
    """Whether the file is still the one at that place; a run that was moved aside took its own with it."""
    return path.exists() and os.path.samestat(os.fstat(file), path.stat())
