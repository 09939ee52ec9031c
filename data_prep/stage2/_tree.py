"""The files of a release as they lie on disk: folders of eyes, tables, and what belongs to neither."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SLICE = re.compile(r"(\d+)_image\.(?:jpe?g|png)", re.IGNORECASE)
_FUNDUS = re.compile(r"(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
_LITTER = re.compile(r"\..*|~\$.*|thumbs\.db|desktop\.ini", re.IGNORECASE)
_LITTER_FOLDER = "__MACOSX"


@dataclass(frozen=True)
class File:
    """A file, and its name in reports: the path below the source."""

    path: Path
    name: str


@dataclass
class EyeFiles:
    """The images of one eye.

    Args:
        number: the release's number of the eye; its text on disk is padded with zeros.
        name: the folder's name in reports.
        slices: (number in the file name, file) of every OCT slice, in no order.
        fundus: photographs; more than one is a fault.
        nested: whether slices lie one folder deeper, as in GAMMA.
    """

    number: int
    name: str
    slices: list[tuple[int, File]] = field(default_factory=list)
    fundus: list[File] = field(default_factory=list)
    nested: bool = False

    @property
    def files(self) -> list[File]:
        """All files of the eye."""
        return [*(file for _, file in self.slices), *self.fundus]


@dataclass
class ImageFolder:
    """A folder whose sub-folders are eyes, such as `training_images`."""

    path: Path
    name: str
    eyes: dict[int, EyeFiles] = field(default_factory=dict)


@dataclass
class Tree:
    """Everything below the sources.

    Args:
        images: the folders that hold eyes, in order.
        tables: other files with the ending of a table.
        strays: other files -> reason.
        total: number of all files.
    """

    images: list[ImageFolder]
    tables: list[File]
    strays: dict[str, str]
    total: int


def read_tree(sources: list[tuple[str, Path]], *, tables: tuple[str, ...]) -> Tree:
    """Sort all files below the sources.

    Args:
        sources: (prefix of names in reports, folder); links are followed, each folder once.
        tables: endings of tables.
    """
    images: dict[Path, ImageFolder] = {}
    rest: list[File] = []
    strays: dict[str, str] = {}
    empty: list[tuple[Path, str]] = []
    total = 0
    for folder, names in _walk(sources):
        total += len(names)
        prefix = folder.name
        kept = []
        for name in names:
            file = File(folder.path / name, prefix + name)
            if _is_litter(file.name):
                strays[file.name] = "system_file"
            else:
                kept.append(file)
        unclaimed = _claim(folder, kept, images)
        rest += unclaimed
        if not names and folder.may_be_eye:
            empty.append((folder.path, prefix))
    _add_empty_eyes(empty, images)
    found = [file for file in rest if file.path.suffix.lower() in tables]
    strays |= {file.name: "not_of_the_release" for file in rest if file.path.suffix.lower() not in tables}
    return Tree([images[path] for path in sorted(images)], found, strays, total)


@dataclass(frozen=True)
class _Folder:
    path: Path
    name: str
    may_be_eye: bool


def _walk(sources: list[tuple[str, Path]]) -> Iterator[tuple[_Folder, list[str]]]:
    seen: set[Path] = set()
    for prefix, source in sources:
        for path, folders, names in os.walk(source, followlinks=True):
            real = Path(path).resolve()
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders.sort()
            below = Path(path).relative_to(source).as_posix()
            name = prefix if below == "." else f"{prefix}{below}/"
            # The source itself is no eye, whatever its name.
            yield _Folder(Path(path), name, below != "." and Path(path).name.isdecimal()), sorted(names)


def _is_litter(name: str) -> bool:
    *folders, last = name.split("/")
    return bool(_LITTER.fullmatch(last)) or _LITTER_FOLDER in folders


def _claim(folder: _Folder, files: list[File], images: dict[Path, ImageFolder]) -> list[File]:
    """Give slices and photographs to their eye; return the other files."""
    if not folder.may_be_eye:
        return files
    slices = [(int(match[1]), file) for file in files if (match := _SLICE.fullmatch(file.path.name))]
    fundus = [file for file in files if _is_fundus(file, folder)]
    if slices or fundus:
        eye = _eye(folder, images)
        eye.slices += slices
        eye.fundus += fundus
    claimed = {file for _, file in slices} | set(fundus)
    return [file for file in files if file not in claimed]


def _is_fundus(file: File, folder: _Folder) -> bool:
    match = _FUNDUS.fullmatch(file.path.name)
    return match is not None and int(match[1]) == int(folder.path.name)


def _eye(folder: _Folder, images: dict[Path, ImageFolder]) -> EyeFiles:
    path, name = folder.path, folder.name
    number = int(path.name)
    nested = path.parent.name.isdecimal() and int(path.parent.name) == number
    if nested:
        path, name = path.parent, name[: -len(path.name) - 1]
    home = images.setdefault(path.parent, ImageFolder(path.parent, name[: -len(path.name) - 1].rstrip("/")))
    eye = home.eyes.setdefault(number, EyeFiles(number, name.rstrip("/")))
    eye.nested |= nested
    return eye


def _add_empty_eyes(empty: list[tuple[Path, str]], images: dict[Path, ImageFolder]) -> None:
    """A numbered folder without files beside folders of eyes is an eye without images."""
    for path, name in empty:
        if path.parent in images:
            images[path.parent].eyes.setdefault(int(path.name), EyeFiles(int(path.name), name.rstrip("/")))
