"""What the headers of MetaImage, NRRD and NIfTI declare, checked before pixels are read."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN, BinaryFile, truncated
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._refusal import RefusedError

HEADER_BYTES = 2**16
_BLOCK = 2**20
_MOST_PIECE = 2**22


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a header says.

    Args:
        shape: number of voxels, the fastest axis first; two or three axes.
        spacing: mm along each.
        dtype: of the stored voxels, with their order of bytes.
        compressed: by gzip or zlib.
        turned: whether the axes are turned in space.
        slope: of the values against the stored ones; only its sign matters after rescaling.
        offset: of the values.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    dtype: np.dtype[Any]
    compressed: bool = False
    turned: bool = False
    slope: float = 1.0
    offset: float = 0.0

    @property
    def bytes(self) -> int:
        """Length of the voxels; refuses what is no volume, or too large a one."""
        if not 2 <= len(self.shape) <= 3:
            detail = f"The image has {len(self.shape)} axes; 2 or 3 are read."
            raise RefusedError(reason="axes", detail=detail, fix="Export one volume of a single channel and time.")
        # Twice the voxels in bytes is what the largest volume of 16 bits has.
        return check_size(self.shape, most=2 * MAX_VOXELS // max(self.dtype.itemsize, 2)) * self.dtype.itemsize


def voxels(file: BinaryFile, declared: Declared) -> npt.NDArray[Any]:
    """The stored voxels from here on, flat.

    Raises:
        RefusedError: fewer than declared, or damaged compression.
    """
    count = declared.bytes
    data = inflated(file, count) if declared.compressed else file.take(count)
    return np.frombuffer(data, declared.dtype)


def inflated(file: BinaryFile, count: int) -> bytearray:
    """Exactly so many bytes of the gzip or zlib streams that begin here; what follows is never inflated.

    Raises:
        RefusedError: the streams hold fewer, or are damaged.
    """
    # Grown as bytes come: a small file cannot make us allocate what its header promises.
    data = bytearray()
    try:
        for piece in _inflated_pieces(file):
            data += piece[: count - len(data)]
            if len(data) == count:
                return data
    except zlib.error:
        raise RefusedError(reason="damaged", detail="The compressed voxels are damaged.", fix=EXPORT_AGAIN) from None
    raise truncated(count, len(data))


def _inflated_pieces(file: BinaryFile) -> Iterator[bytes]:
    """Of one stream after another, as writers that compress in blocks leave them."""
    packed = b""
    while packed or file.remaining:
        # 32: the kind of header, gzip or zlib, is found by itself.
        decoder = zlib.decompressobj(32 + zlib.MAX_WBITS)
        while not decoder.eof:
            packed = packed or file.take(min(_BLOCK, file.remaining))
            piece = decoder.decompress(packed, _MOST_PIECE)
            if not piece and not packed:
                return
            packed = decoder.unconsumed_tail
            yield piece
        packed = decoder.unused_data


def detached() -> RefusedError:
    """A header without its pixels."""
    detail = "The header names another file for the voxels."
    return RefusedError(
        reason="detached-header", detail=detail, fix="Save header and voxels in one file (.mha, .nrrd, .nii)."
    )


def numbers(words: str, what: type) -> tuple[Any, ...]:
    """Numbers of a header's line.

    Raises:
        RefusedError: others stand there.
    """
    try:
        found = tuple(what(word) for word in words.split())
    except (ValueError, OverflowError):
        found = ()
    if not found or not all(math.isfinite(value) for value in found):
        raise bad_header()
    return found


def bad_header() -> RefusedError:
    """A header that cannot be understood."""
    detail = "The header lacks a field, or holds one that cannot be read."
    return RefusedError(reason="header-damaged", detail=detail, fix=EXPORT_AGAIN)
