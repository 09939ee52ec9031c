"""Whether the folder of a run can be written, is ours, and does not lie among the data."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from medmd.workflows._folder import RUN_FILE, is_empty
from medmd.workflows.preflight._report import WARNING, Problem


def output_problems(output_dir: str | Path, data_dir: str | Path | None = None) -> Iterator[Problem]:
    """What keeps a run from writing into `output_dir`; nothing is left there.

    Args:
        output_dir: the run's folder, which need not exist.
        data_dir: folder of the datalist.
    """
    folder = Path(output_dir)
    if folder.exists() and not folder.is_dir():
        yield _problem("this is a file", str(folder), "a folder", "Name a folder.")
        return
    reason = _unwritable(folder)
    if reason:
        yield _problem("it cannot be written", reason, "a folder in which files can be made", "Name another folder.")
        return
    if not is_empty(folder) and not (folder / RUN_FILE).is_file():
        yield _problem(
            "it holds something that no run of ours made",
            str(folder),
            "an empty folder, or that of a run",
            "Choose another; nothing in it was touched.",
        )
    if data_dir is not None and folder.resolve().is_relative_to(Path(data_dir).resolve()):
        yield Problem(
            setting="output_dir",
            what="it lies inside of the data set",
            found=str(folder),
            expected="a folder beside it",
            fix="Results among the data are copied, backed up and handed on with it. Choose another folder.",
            level=WARNING,
        )


def nearest_folder(path: str | Path) -> Path:
    """The path itself, or the first folder above it that exists."""
    place = Path(path).absolute()
    return next(folder for folder in (place, *place.parents) if folder.exists())


def _unwritable(folder: Path) -> str | None:
    """Why no file can be made there. It is really tried: rights, quotas and read-only mounts show only then."""
    place = nearest_folder(folder)
    if not place.is_dir():
        return f"{place} is a file"
    try:
        # On Linux the file never has a name, so that a kill at this moment leaves nothing.
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"medmd")
            file.flush()
    except OSError as error:
        return f"{place}: {error.strerror or type(error).__name__}"
    return None


def _problem(what: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(setting="output_dir", what=what, found=found, expected=expected, fix=fix)
