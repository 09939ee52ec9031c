"""What a disk, a share or a permission did to a file, in words that hold no path."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_FULL = "no space is left on its disk"
_READ_ONLY = "its folder is on a read-only file system"
_DENIED = "permission is denied"
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EFBIG: "the file system takes no file as large",
    errno.EIO: "the disk reports an error (input/output error)",
    errno.ESTALE: "the network share is gone (stale file handle)",
    errno.ENOTCONN: "the network share is gone (not connected)",
    errno.EHOSTDOWN: "the network share is gone (host is down)",
}
# Writers in other languages hand on the words alone: safetensors (Rust), SQLite, PyTorch's zip writer.
_WORDS = {
    "no space left on device": _FULL,
    "database or disk is full": _FULL,
    "read-only file system": _READ_ONLY,
    "attempt to write a readonly database": "it may not be written",
    "disk i/o error": _REASONS[errno.EIO],
}


class WriteError(OSError):
    """A file that could not be written; the text says which, why, and what to do, and holds no path.

    No `MedmdError`: whoever sets a case aside because its file is no good must not do so when the disk is full.
    """


def storage_fault(error: BaseException | None) -> str | None:
    """Why storage refused, from an exception or from what caused it; `None` when it has another cause.

    PyTorch's writer raises an error of its own while the disk's is being handled: that context counts as a cause.
    """
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _REASONS:
            return _REASONS[each.errno]
        words = str(each).lower()
        for text, reason in _WORDS.items():
            if text in words:
                return reason
    return None


def write_error(path: str | Path, error: BaseException) -> WriteError | None:
    """The sentence about a file that could not be written, or `None` when storage is not the cause.

    Args:
        path: the file that was to be written; only its name is told.
        error: what the writer raised.
    """
    reason = storage_fault(error)
    if reason is None or _is_about_another(error, Path(path)):
        return None
    name, free = Path(path).name, free_space(path)
    return WriteError(
        f"{name} cannot be written: {reason}{'' if free is None else f' ({free} free)'}. "
        "What stood there before is intact. Make room or give permission and start the same command again, or name "
        "another output folder."
    )


def free_space(path: str | Path) -> str | None:
    """Room on the disk of `path`, which need not exist, such as `1.5 GB`; `None` when the system does not say."""
    folder = Path(path)
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        amount = float(shutil.disk_usage(folder).free)
    except OSError:
        return None
    units = ("B", "kB", "MB", "GB", "TB")
    power = sum(amount >= 1000**step for step in range(1, len(units)))
    return f"{amount / 1000**power:.{1 if power else 0}f} {units[power]}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_about_another(error: BaseException, path: Path) -> bool:
    """Whether the fault names a file that is not beside `path`: one that was read, most likely."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _REASONS:
            named = each.filename2 or each.filename
            if not isinstance(named, (str, Path)):
                return False
            return Path(named) != path.parent and Path(named).parent != path.parent and Path(named) not in path.parents
    return False
