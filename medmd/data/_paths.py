"""From a case's relative path to a file, never outside the datalist's folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath


def path_problem(value: str) -> str | None:
    """Why `value` is not a relative POSIX path below the datalist's folder, or None when it is one."""
    if PurePosixPath(value).is_absolute() or PureWindowsPath(value).drive:
        return "an absolute path"
    if "\\" in value:
        return "a path with a backslash"
    if ".." in PurePosixPath(value).parts:
        return "a path that climbs with '..'"
    return None


def escapes(folder: Path, file: Path) -> bool:
    """Whether `file`, links followed, lies outside `folder`, links followed."""
    return not file.resolve().is_relative_to(folder.resolve())
