"""Which other files a reader opened: some exports keep the slices of a volume in files beside an index of them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STATE = threading.local()
_HOOKED = threading.Event()


@contextmanager
def opened_files(root: Path) -> Iterator[set[str]]:
    """Collects, while the block runs, the places below `root` of the files that this thread opens with Python.

    Args:
        root: of the export, without links in its path.

    Yields:
        A set of relative paths with `/`, filled when the block ends.
    """
    if not _HOOKED.is_set():
        # A hook stays until the process ends; without a block that listens it does nothing.
        _HOOKED.set()
        sys.addaudithook(_note)
    places: set[str] = set()
    _STATE.paths = []
    try:
        yield places
    finally:
        paths, _STATE.paths = _STATE.paths, None
        below = os.fspath(root) + os.sep
        places.update(Path(path[len(below) :]).as_posix() for path in paths if path.startswith(below))


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    paths = getattr(_STATE, "paths", None) if event == "open" else None
    if paths is not None and isinstance(arguments[0], str):
        paths.append(arguments[0])
