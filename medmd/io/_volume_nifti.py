"""NIfTI-1 and -2 in one file, plain or gzipped. nibabel reads the header; the voxels are taken without its proxies."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from medmd.io._binary import BinaryFile, binary_file
from medmd.io._pillow import quiet
from medmd.io._refusal import RefusedError
from medmd.io._source import Source
from medmd.io._volume_header import Declared, bad_header, detached, inflated, voxels

_GZIP = b"\x1f\x8b"
# Length of the header in its first bytes, and where its signature stands.
_VERSIONS = {348: (344, (b"n+1\0", b"ni1\0")), 540: (4, (b"n+2\0", b"ni2\0"))}
_PAIRS = (b"ni1\0", b"ni2\0")
_MOST_OFFSET = 2**20
_LOGGERS = ("nibabel", "nibabel.global")
# Codes of the unit of space: unknown is mm by custom.
_UNITS = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}


def is_nifti(head: bytes) -> bool:
    """By the length of the header and the signature, within gzip too."""
    return _signature(_start(head)) is not None


def read_nifti(source: Source) -> tuple[Declared, npt.NDArray[Any]]:
    """Header and voxels."""
    with binary_file(source) as file:
        packed = file.take(2) == _GZIP
        file.seek(0)
        start = _inflated_start(file) if packed else file.take(min(540, file.size))
        found = _signature(start)
        if found is None:
            raise bad_header()
        if found[1] in _PAIRS:
            raise detached()
        declared, offset = _declared(start, found[0])
        file.seek(0)
        if not packed:
            file.seek(offset)
            return declared, voxels(file, declared)
        data = inflated(file, offset + declared.bytes)
        return declared, np.frombuffer(data, declared.dtype, offset=offset)


def _start(head: bytes) -> bytes:
    if not head.startswith(_GZIP):
        return head
    try:
        return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(head, 540)
    except zlib.error:
        return b""


def _inflated_start(file: BinaryFile) -> bytes:
    return _start(file.take(min(4096, file.size)))


def _signature(start: bytes) -> tuple[int, bytes] | None:
    for order in ("<", ">"):
        length = struct.unpack(f"{order}i", start[:4].ljust(4, b"\0"))[0]
        at, signatures = _VERSIONS.get(length, (0, ()))
        if start[at : at + 4] in signatures:
            return length, start[at : at + 4]
    return None


def _declared(start: bytes, length: int) -> tuple[Declared, int]:
    kind = nib.Nifti1Header if length == 348 else nib.Nifti2Header
    with quiet(*_LOGGERS):
        header = kind.from_fileobj(BytesIO(start[:length]), check=False)
        shape = tuple(int(size) for size in header["dim"][1 : 1 + max(0, min(int(header["dim"][0]), 7))])
        shape = _without_single_axes(shape)
        dtype = _dtype(header)
        slope, offset = _scale(header)
        start_of_voxels = float(header["vox_offset"])
    if not length <= start_of_voxels <= _MOST_OFFSET:
        raise bad_header()
    unit = _UNITS.get(int(header["xyzt_units"]) & 7, 0.0)
    spacing = tuple(abs(float(step)) * unit for step in header["pixdim"][1 : 1 + len(shape)])
    declared = Declared(shape=shape, spacing=spacing, dtype=dtype, turned=_turned(header), slope=slope, offset=offset)
    return declared, int(start_of_voxels)


def _without_single_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of length 1 behind the third are how software writes that there is no time."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _dtype(header: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        detail = "The voxels are complex, coloured, or of another kind that is no single number."
        raise RefusedError(reason="pixel-format", detail=detail, fix="Save the volume with one number a voxel.")
    return dtype


def _scale(header: Any) -> tuple[float, float]:
    slope, offset = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite([slope, offset]).all() or slope == 0:
        return 1.0, 0.0
    return slope, offset


def _turned(header: Any) -> bool:
    if not (int(header["qform_code"]) or int(header["sform_code"])):
        return False
    with quiet(*_LOGGERS):
        matrix = header.get_best_affine()[:3, :3]
        lengths = np.linalg.norm(matrix, axis=0)
    if not np.isfinite(lengths).all():
        return True
    return not np.allclose(matrix, np.diag(lengths), atol=1e-3 * float(lengths.max()))
