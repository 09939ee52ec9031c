"""Every file below the export's root, found without ever leaving it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# What operating systems leave in folders; nothing is lost with it.
_LITTER = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", "@eadir", "$recycle.bin"})
_LITTER_STARTS = ("._", ".spotlight-", ".trash", ".fseventsd", "__macosx", ".~lock.", ".nfs")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One entry of the export.

    Args:
        place: path relative to the root, with `/`. Identifying: never shown but by `--locate`.
        size: bytes.
        changed: time of the last change, in nanoseconds.
        reason: why it is not read at all, or None.
    """

    place: str = field(repr=False)
    size: int = 0
    changed: int = field(default=0, repr=False)
    reason: str | None = None


def walk(root: Path) -> Iterator[Found]:
    """Everything below `root` that is not a folder, in the order of the names.

    Links are not followed: what one inside the export points to is found in its own place, and one that leads outside
    is told. Folders that cannot be opened are told as well.

    Args:
        root: an existing folder, without links in its own path.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _entries(root / folder)
        except OSError:
            yield Found(place=folder, reason="folder-unreadable")
            continue
        below = []
        for entry in entries:
            place = f"{folder}/{entry.name}" if folder else entry.name
            if not entry.is_symlink() and entry.is_dir(follow_symlinks=False):
                below.append(place)
            else:
                yield _look(entry, place, root)
        waiting.extend(reversed(below))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _look(entry: os.DirEntry[str], place: str, root: Path) -> Found:
    if entry.is_symlink():
        return Found(place=place, reason=_link_reason(Path(entry.path), root))
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError:
        return Found(place=place, reason="file-unreadable")
    if not stat.S_ISREG(facts.st_mode):
        return Found(place=place, reason="not-a-file")
    return Found(place=place, size=facts.st_size, changed=facts.st_mtime_ns, reason=_litter(place))


def _link_reason(link: Path, root: Path) -> str:
    try:
        inside = link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # It leads nowhere, or in a circle.
        inside = False
    return "link-inside" if inside else "link-outside"


def _litter(place: str) -> str | None:
    names = [part.lower() for part in place.split("/")]
    return "litter" if any(name in _LITTER or name.startswith(_LITTER_STARTS) for name in names) else None
