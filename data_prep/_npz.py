"""NumPy archives (`.npz`) of releases, read without believing them: no pickle, no bombs, sizes before memory."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from medmd.io import RefusedError, check_size
from medmd.utils import MedmdError, regular_file

MOST_FILE_BYTES = 2**28
MOST_VALUES = 2**26
_MOST_MEMBERS = 64
# Of 64 members with long names; the directory stands whole in memory before a member can be looked at.
_MOST_DIRECTORY_BYTES = 2**15
_END_BYTES = 22
_MEMBER = re.compile(r"([A-Za-z][\w .-]{0,63})\.npy", re.ASCII)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Numbers, truth values and short texts; objects need pickle, and nothing else occurs in a release of images.
_KINDS = "biufU"
_AGAIN = "Get the file again from where the release is published."
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

Array = npt.NDArray[Any]


def read_npz(path: Path, wanted: Collection[str]) -> tuple[dict[str, Array], list[str]]:
    """Read arrays of an `.npz` by name; what is not asked for is not opened.

    Args:
        path: the file; a link is followed.
        wanted: names of arrays.

    Returns:
        Name -> array, of those that are there; and the names of arrays that are there but hold Python objects, which
        only pickle could read.

    Raises:
        RefusedError: the file is no such archive, is damaged, holds what `numpy.savez` does not write, or declares more
            than it can hold or than is accepted. The text names nothing of the file.
    """
    try:
        size = regular_file(path.resolve(), role="a sample", most_bytes=MOST_FILE_BYTES)
        with path.open("rb") as file:
            _check_directory(file, size)
            with zipfile.ZipFile(file) as archive:
                return _read_members(archive, _members(archive), wanted)
    except RefusedError:
        raise
    except MedmdError:
        detail = f"It is no ordinary file of at most {MOST_FILE_BYTES} bytes."
        raise _refused(reason="npz-no-file", detail=detail) from None
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RuntimeError):
        # Not chained: the texts of these errors quote what the file holds.
        raise _refused(reason="npz-damaged", detail="It cannot be read as an .npz archive.") from None


def _check_directory(file: IO[bytes], size: int) -> None:
    """Check the archive's last record, which every `numpy.savez` writes without a comment."""
    file.seek(max(0, size - _END_BYTES))
    end = file.read(_END_BYTES)
    if len(end) < _END_BYTES or not end.startswith(b"PK\x05\x06"):
        raise _refused(reason="npz-damaged", detail="It does not end as an .npz archive does.")
    directory = int.from_bytes(end[12:16], "little")
    if directory > _MOST_DIRECTORY_BYTES:
        raise _refused(
            reason="npz-too-many", detail=f"Its directory takes {directory} bytes, more than {_MOST_DIRECTORY_BYTES}."
        )
    file.seek(0)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        match = _MEMBER.fullmatch(member.orig_filename)
        if match is None or member.flag_bits & 0x1 or member.compress_type not in _METHODS:
            raise _refused(reason="npz-foreign", detail="It holds a member that numpy.savez does not write.")
        if match[1] in found:
            raise _refused(reason="npz-foreign", detail="It holds two arrays of one name.")
        found[match[1]] = member
    if len(found) > _MOST_MEMBERS:
        raise _refused(reason="npz-too-many", detail=f"It holds {len(found)} arrays, more than {_MOST_MEMBERS}.")
    return found


def _read_members(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], wanted: Collection[str]
) -> tuple[dict[str, Array], list[str]]:
    arrays: dict[str, Array] = {}
    objects = []
    for name in sorted(set(wanted) & set(members)):
        array = _read_array(archive, members[name])
        if array is None:
            objects.append(name)
        else:
            arrays[name] = array
    return arrays, objects


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array | None:
    with archive.open(member) as stream:
        read_header = _HEADERS.get(npy.read_magic(stream))
        if read_header is None:
            raise _refused(reason="npz-foreign", detail="An array has a format of another version.")
        shape, by_columns, dtype = read_header(stream)
        if dtype.hasobject:
            return None
        if dtype.kind not in _KINDS or dtype.itemsize == 0:
            raise _refused(reason="npz-foreign", detail="An array holds neither numbers nor text.")
        held = member.file_size - stream.tell()
        count = check_size(shape or (1,), most=MOST_VALUES, available_bytes=held, voxel_bytes=dtype.itemsize)
        expected = count * dtype.itemsize
        if expected != held or expected > MOST_FILE_BYTES:
            raise _refused(reason="npz-foreign", detail=f"An array declares {expected} bytes and has {held}.")
        # One byte more than there must be: only the end of a member makes its checksum be looked at.
        data = stream.read(expected + 1)
    if len(data) != expected:
        raise _refused(reason="npz-damaged", detail=f"An array of {expected} bytes is cut short or goes on.")
    array = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape, order="F" if by_columns else "C")


def _refused(*, reason: str, detail: str) -> RefusedError:
    return RefusedError(reason=reason, detail=detail, fix=_AGAIN)
