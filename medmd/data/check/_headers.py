"""What the first and the last bytes of a file tell: that it is there, is what it should be, and is whole."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_GZIP = b"\x1f\x8b"
_LFS = b"version https://git-lfs.github.com/spec"
_LONGEST_NIFTI_HEADER = 540
_NIFTI1, _NIFTI2 = 348, 540
_FIRST_BYTES = 4096
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why a file cannot be opened at all, as the words of a `Finding`."""

    rule: str
    expected: str
    found: str
    fix: str


def obstacle(file: Path) -> Obstacle | None:
    """What stands where a file is expected, when it is none that has content; None when it can be opened."""
    if file.is_dir():
        return Obstacle(rule="missing-file", expected="a file", found="a folder", fix="Name the file in it.")
    try:
        with file.open("rb") as stream:
            start = stream.read(len(_LFS))
    except PermissionError:
        fix = "Give the account that runs this the right to read it."
        return Obstacle(
            rule="unreadable-file", expected="a file that can be read", found="no right to read it", fix=fix
        )
    except OSError:
        fix = "Copy the file there, or write null."
        return Obstacle(rule="missing-file", expected="a file", found="none", fix=fix)
    if not start:
        fix = "Copy the file anew from its source, or convert the case again."
        return Obstacle(rule="unreadable-file", expected="a file with content", found="an empty file", fix=fix)
    if start == _LFS:
        fix = "Fetch the content: `git lfs pull`."
        return Obstacle(rule="unreadable-file", expected="the file itself", found="a Git LFS pointer to it", fix=fix)
    return None


def read_header(path: Path, kind: str) -> tuple[int, ...]:
    """The shape of a file from its header, in about a millisecond; nothing is decoded unless the end looks wrong.

    A file that was cut short has an end that does not fit its header: the length that gzip notes in its last four
    bytes, the size of an uncompressed volume, the last bytes of a PNG or JPEG. Only such a file is then read to its
    end, since other programs may add bytes behind it.

    Args:
        path: the file.
        kind: `volume` (along-scan, depth, slice) or `image` (rows, columns, channels).

    Raises:
        Exception: whatever nibabel, Pillow or zlib raise on a file that they cannot read; EOFError for one cut short.
    """
    return _volume_shape(path) if kind == "volume" else _image_shape(path)


def _volume_shape(path: Path) -> tuple[int, ...]:
    with path.open("rb") as stream:
        start = stream.read(_FIRST_BYTES)
        packed = start[:2] == _GZIP
        if packed:
            start = zlib.decompressobj(wbits=31).decompress(start, _LONGEST_NIFTI_HEADER)
        header = _nifti_header(start)
        if header is None:
            return _shape_by_nibabel(path)
        shape = tuple(int(size) for size in header.get_data_shape())
        needed = int(header["vox_offset"]) + math.prod(shape) * header.get_data_dtype().itemsize
        _require_length(stream, path, needed, packed=packed)
    return shape


def _nifti_header(start: bytes) -> Any | None:
    """The header of a single-file NIfTI; None for other formats, which nibabel may know."""
    import nibabel

    size = {int.from_bytes(start[:4], order) for order in ("little", "big")}
    if _NIFTI1 in size and start[344:347] == b"n+1":
        return nibabel.Nifti1Header(start[:_NIFTI1], check=False)
    if _NIFTI2 in size and start[4:7] == b"n+2":
        return nibabel.Nifti2Header(start[:_NIFTI2], check=False)
    return None


def _shape_by_nibabel(path: Path) -> tuple[int, ...]:
    import nibabel

    return tuple(nibabel.load(path).shape)


def _require_length(stream: BinaryIO, path: Path, needed: int, *, packed: bool) -> None:
    if not packed:
        held = path.stat().st_size
    else:
        stream.seek(-4, 2)
        held = int.from_bytes(stream.read(4), "little")
        if held == needed % 2**32:
            return
        held = _unpacked_length(path)
    if held < needed:
        msg = f"{held} bytes, of {needed} that the header announces"
        raise EOFError(msg)


def _unpacked_length(path: Path) -> int:
    length = 0
    with gzip.open(path) as stream:
        while chunk := stream.read(_CHUNK):
            length += len(chunk)
    return length


def _image_shape(path: Path) -> tuple[int, ...]:
    from PIL import Image

    with Image.open(path) as image:
        shape = (image.height, image.width, len(image.getbands()))
        if not _ends_well(path, str(image.format)):
            image.load()
    return shape


def _ends_well(path: Path, form: str) -> bool:
    with path.open("rb") as stream:
        stream.seek(-min(len(_PNG_END), path.stat().st_size), 2)
        end = stream.read()
    return {"PNG": end.endswith(_PNG_END), "JPEG": end.endswith(_JPEG_END)}.get(form, True)
