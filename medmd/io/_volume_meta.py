"""MetaImage: lines of `Name = value`, the last of them `ElementDataFile`, then the voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.io._binary import binary_file
from medmd.io._refusal import RefusedError
from medmd.io._source import Source
from medmd.io._volume_header import HEADER_BYTES, Declared, bad_header, detached, numbers, voxels

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_LAST = b"ElementDataFile"


def is_meta(head: bytes) -> bool:
    """The first line names the kind of object, or the axes."""
    first = head[:200].split(b"\n", 1)[0].replace(b" ", b"").strip()
    return first in (b"ObjectType=Image", b"NDims=2", b"NDims=3", b"NDims=4")


def read_meta(source: Source) -> tuple[Declared, npt.NDArray[Any]]:
    """Header and voxels."""
    with binary_file(source) as file:
        start = file.take(min(HEADER_BYTES, file.size))
        at = start.find(_LAST)
        end = start.find(b"\n", at)
        if at < 0 or end < 0:
            raise bad_header()
        fields = _fields(start[:end])
        if fields.get("elementdatafile", "").upper() != "LOCAL":
            raise detached()
        declared = _declared(fields)
        file.seek(end + 1)
        return declared, voxels(file, declared)


def _fields(header: bytes) -> dict[str, str]:
    pairs = (line.partition("=") for line in header.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _declared(fields: dict[str, str]) -> Declared:
    kind = _TYPES.get(fields.get("elementtype", ""))
    channels = fields.get("elementnumberofchannels", "1")
    if kind is None or channels != "1" or fields.get("binarydata", "True").lower() != "true":
        detail = "The voxels are of an unknown kind, have several channels, or are written as text."
        raise RefusedError(
            reason="pixel-format", detail=detail, fix="Save the volume with one channel, in binary form."
        )
    shape = numbers(fields.get("dimsize", ""), int)
    axes = numbers(fields.get("ndims", ""), int)
    spacing = numbers(fields.get("elementspacing", fields.get("elementsize", "1 " * len(shape))), float)
    if axes != (len(shape),) or len(spacing) != len(shape):
        raise bad_header()
    big = "true" in (fields.get("binarydatabyteordermsb", "").lower(), fields.get("elementbyteordermsb", "").lower())
    return Declared(
        shape=shape,
        spacing=spacing,
        dtype=np.dtype((">" if big else "<") + kind),
        compressed=fields.get("compresseddata", "False").lower() == "true",
        turned=_turned(fields, len(shape)),
    )


def _turned(fields: dict[str, str], axes: int) -> bool:
    names = ("transformmatrix", "rotation", "orientation")
    matrix = next((numbers(fields[name], float) for name in names if name in fields), ())
    return bool(matrix) and not np.array_equal(matrix, np.eye(axes).ravel())
