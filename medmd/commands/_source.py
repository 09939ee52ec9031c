"""Which file is meant where a verb takes a datalist."""

from __future__ import annotations

from pathlib import Path

from medmd.utils import MedmdError


def datalist_file(source: Path) -> Path:
    """The datalist that `source` is or, as a folder, holds.

    Args:
        source: a datalist, or the folder that holds `datalist.json`.

    Raises:
        MedmdError: the folder holds none.
    """
    if not source.is_dir():
        return source
    if not (source / "datalist.json").is_file():
        msg = f"{source}: expected a datalist or a folder that holds datalist.json, got a folder without one."
        raise MedmdError(msg)
    return source / "datalist.json"
