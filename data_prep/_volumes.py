"""OCT volumes as lossless NIfTI, written slice by slice: fast, small in memory, equal content giving equal bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medmd.utils import atomic_path

# Part of a file's origin in the journal: raise it when the voxels or bytes that are written change.
RECIPE = "nifti-igzip1-1"
# Speckle hardly compresses: higher levels take longer and save nothing (docs/results/volume_writing.md).
_LEVEL = 1
_GZIP = 31
_TYPES = ("uint8", "uint16")
# A NIfTI-1 header is 348 bytes; four zero bytes say that no extension follows.
_NO_EXTENSION = b"\0\0\0\0"

Slice = npt.NDArray[Any]
Shape = tuple[int, int, int]


class Volume(NamedTuple):
    """A written volume: SHA-256 of the file, and its (along-scan, depth, slices) in voxels."""

    sha256: str
    shape: Shape


def write_volume(path: Path, slices: Iterable[Slice], *, count: int, spacing_mm: tuple[float, float, float]) -> Volume:
    """Write B-scans as `.nii.gz` with axes (along-scan x, depth y, slice z), atomically.

    One slice at a time is held; the volume never is. The header has no text, the gzip header no name and no clock time.

    Args:
        path: the file to make.
        slices: `count` arrays (depth, along-scan) of one shape and type, uint8 or uint16, in order.
        count: how many there are, which the header says before the first is written.
        spacing_mm: along-scan, depth and between slices, in mm.

    Returns:
        Digest and shape; equal slices and spacing give equal files.

    Raises:
        ValueError: slices of several shapes or types, another type, or another number of them. Nothing is written then,
            nor when `slices` raises.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        stream = _GzipStream(file)
        shape: Shape | None = None
        first: Slice | None = None
        for number, image in enumerate(slices):
            if first is None:
                first, shape = image, (image.shape[1], image.shape[0], count)
                stream.write(_header(shape, image.dtype, spacing_mm))
            _check_slice(image, first, number, count)
            stream.write(np.ascontiguousarray(image).data)
        if shape is None or number + 1 != count:
            msg = f"slices: expected {count}, got {0 if shape is None else number + 1}"
            raise ValueError(msg)
        digest = stream.close()
    return Volume(digest, shape)


def volume_shape(path: Path) -> Shape:
    """(along-scan, depth, slices) from a volume's header."""
    import nibabel

    along, depth, slices = nibabel.load(path).shape
    return int(along), int(depth), int(slices)


class _GzipStream:
    """Compresses what is written and computes the SHA-256 of what comes out."""

    def __init__(self, file: Any) -> None:
        from isal import isal_zlib

        self._file = file
        self._digest = hashlib.sha256()
        self._compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)

    def write(self, data: bytes | memoryview) -> None:
        self._put(self._compressor.compress(data))

    def close(self) -> str:
        self._put(self._compressor.flush())
        return self._digest.hexdigest()

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def _header(shape: Shape, dtype: np.dtype[Any], spacing_mm: tuple[float, float, float]) -> bytes:
    import nibabel

    affine = np.diag([*spacing_mm, 1.0])
    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_zooms(spacing_mm)
    header.set_xyzt_units("mm")
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1)
    # As nibabel's own writer does for a single file; no scaling of values.
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    return bytes(header.binaryblock) + _NO_EXTENSION


def _check_slice(image: Slice, first: Slice, number: int, count: int) -> None:
    if image.ndim != 2 or image.dtype.name not in _TYPES or not image.dtype.isnative or image.size == 0:
        msg = f"slice {number}: expected two axes of {' or '.join(_TYPES)}, got {image.shape} {image.dtype}"
        raise ValueError(msg)
    if (image.shape, image.dtype) != (first.shape, first.dtype):
        msg = f"slice {number}: expected {first.shape} {first.dtype} as the first, got {image.shape} {image.dtype}"
        raise ValueError(msg)
    if number >= count:
        msg = f"slices: expected {count}, got more"
        raise ValueError(msg)
