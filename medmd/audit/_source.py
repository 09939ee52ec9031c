"""Where the files of an audit come from: a folder, a zip that stays packed, or single files."""

from __future__ import annotations

import contextlib
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from medmd.utils import MedmdError

MOST_FILES = 20_000
# Images compress tenfold at the best; a bomb a thousandfold.
_MOST_RATIO = 200
_MOST_MEMBER_BYTES = 16 << 30
_LEADS_OUT = re.compile(r"^[/\\~]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\x00")


@dataclass(frozen=True)
class Member:
    """One file.

    Attributes:
        name: its place in the bundle, with `/`.
        size: in bytes.
        open: gives a stream that can be wound back.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]

    def read(self, most: int) -> bytes:
        """Its beginning: at most this many bytes."""
        with self.open() as stream:
            return stream.read(most)


@dataclass
class Source:
    """What is audited.

    Attributes:
        members: the files that can be read.
        odd: by name, what is suspicious about a file as a file: links, names that lead out, bombs.
    """

    members: list[Member] = field(default_factory=list)
    odd: list[tuple[str, str]] = field(default_factory=list)


@contextlib.contextmanager
def open_source(paths: list[Path]) -> Iterator[Source]:
    """List the files below each path; nothing is unpacked to the disk, links are not followed.

    Raises:
        MedmdError: a path is absent, is a zip that cannot be read, or holds too many files.
    """
    with contextlib.ExitStack() as stack:
        source = Source()
        for path in paths:
            if path.is_dir():
                _add_folder(source, path)
            elif path.is_file() and path.suffix.lower() == ".zip":
                _add_zip(source, stack.enter_context(_open_zip(path)))
            elif path.is_file():
                source.members.append(Member(path.name, path.stat().st_size, partial(_open_file, path)))
            else:
                msg = (
                    f"{path}: expected a bundle (a folder or a zip) or configuration files, got nothing to read there."
                )
                raise MedmdError(msg)
        if len(source.members) > MOST_FILES:
            msg = (
                f"expected a bundle of at most {MOST_FILES} files, got {len(source.members)}. Name the files to audit."
            )
            raise MedmdError(msg)
        yield source


def _add_folder(source: Source, folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            source.odd.append((name, "a symbolic link: what it leads to was not looked at"))
        elif stat.S_ISREG(mode):
            source.members.append(Member(name, path.stat().st_size, partial(_open_file, path)))
        elif not stat.S_ISDIR(mode):
            source.odd.append((name, "a device or a pipe"))


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        msg = f"{path.name}: expected a zip, got a damaged file ({error}). Get it again."
        raise MedmdError(msg) from error


def _add_zip(source: Source, archive: zipfile.ZipFile) -> None:
    seen: set[str] = set()
    for info in archive.infolist():
        name = info.orig_filename
        problem = _problem(info)
        if name.lower() in seen:
            problem = problem or "a name that is there twice: one program takes the first, another the last"
        seen.add(name.lower())
        if problem:
            source.odd.append((name, problem))
        elif not info.is_dir():
            member = Member(name, info.file_size, partial(_open_member, archive, info))
            source.members.append(member)


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    # ZipExtFile is a stream of bytes; only its declared type is narrower.
    return archive.open(info)  # type: ignore[return-value]


def _problem(info: zipfile.ZipInfo) -> str:
    if _LEADS_OUT.search(info.orig_filename) or "\\" in info.orig_filename:
        return "a name that leads out of the folder into which it is unpacked"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a symbolic link"
    if info.flag_bits & 0x1:
        return "encrypted: it cannot be looked at"
    if info.file_size > _MOST_MEMBER_BYTES or info.file_size > _MOST_RATIO * max(info.compress_size, 1000):
        return f"claims {info.file_size} bytes, packed into {info.compress_size}: a bomb"
    return ""
