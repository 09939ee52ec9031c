"""Topcon files (.fda, .fds): a signature, then named chunks of declared lengths.

Read here without a library: oct-converter 0.7 fails on both under numpy 2, and prints the chunks. The structure is
described by UOCTE (Apache-2.0) and by oct-converter (MIT). A .fda holds the B-scans as JPEG 2000 in `@IMG_JPEG`, a .fds
as raw 16 bits in `@IMG_SCAN_03`; both may hold the colour photograph of the same eye (`@IMG_FUNDUS`, `@IMG_OBS`), with
blue first (oct-converter's threads 104, 105 and 107). Slices stand in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN, BinaryFile, binary_file, day, millimetres, text, truncated
from medmd.io._limits import MAX_PHOTO_PIXELS, MAX_VOXELS, check_size
from medmd.io._pillow import decode
from medmd.io._records import FundusPhoto, Laterality, OctVolume, Spacing, Subject
from medmd.io._refusal import RefusedError
from medmd.io._source import Source

_MAGIC = b"FOCT"
_HEADER_BYTES = 15
_MOST_CHUNKS = 10_000
# Smaller ones are placeholders of shortened files.
_LEAST_PHOTO = 64
# Sixteen times what devices write.
_MOST_OF_A_SLICE = 2**24

_JPEG, _SCAN, _PHOTO, _RAW_PHOTO = b"@IMG_JPEG", b"@IMG_SCAN_03", b"@IMG_FUNDUS", b"@IMG_OBS"
_ENCODINGS = ("JPEG2000", "JPEG")
_PATTERNS = {0: "line", 2: "raster", 3: "radial"}
_SIDES: dict[int, Laterality] = {0: "R", 1: "L"}
_SEXES: dict[int, Any] = {1: "M", 2: "F", 3: "O"}
# The device's own spelling, and ours.
_DEVICES = {
    "3DOCT-1000": "topcon 3d oct-1000",
    "3DOCT-2000": "topcon 3d oct-2000",
    "3DOCT-1": "topcon maestro",
    "MAESTRO": "topcon maestro",
    "TRITON": "topcon triton",
    "ATLANTIS": "topcon dri oct-1",
    "DRI OCT": "topcon dri oct-1",
}

_Chunks = dict[bytes, tuple[int, int]]


def matches(head: bytes, source: Source) -> bool:
    """By the signature."""
    return head.startswith((_MAGIC + b"FDA", _MAGIC + b"FDS", _MAGIC + b"FAA"))


def read_all(source: Source) -> Iterable[OctVolume | FundusPhoto]:
    """The volume, and the colour photograph when there is one."""
    with binary_file(source) as file:
        if file.take(7)[4:] == b"FAA":
            detail = "The file shows the outer eye, not the retina."
            raise RefusedError(reason="external-eye", detail=detail, fix="Leave scans of the anterior segment out.")
        chunks = _chunks(file)
        facts = _facts(file, chunks)
        photo = _photo(file, chunks)
        records: list[OctVolume | FundusPhoto] = [_volume(file, chunks, facts)]
    return records if photo is None else [*records, FundusPhoto(source_format="topcon", pixels=photo, **facts)]


def _chunks(file: BinaryFile) -> _Chunks:
    found: _Chunks = {}
    file.seek(min(_HEADER_BYTES, file.size))
    for _ in range(_MOST_CHUNKS):
        length = file.take(1)[0]
        if not length:
            return found
        name, size = file.take(length), file.unpack("<I")[0]
        if size > file.remaining:
            raise truncated(file.position + size, file.size)
        found.setdefault(name, (file.position, size))
        file.seek(file.position + size)
    detail = f"The file holds more than {_MOST_CHUNKS} chunks."
    raise RefusedError(reason="size-too-large", detail=detail, fix=EXPORT_AGAIN)


def _part(file: BinaryFile, chunks: _Chunks, name: bytes) -> BinaryFile | None:
    return file.part(*chunks[name]) if name in chunks else None


def _facts(file: BinaryFile, chunks: _Chunks) -> dict[str, Any]:
    side, acquired = _capture(file, chunks)
    return {
        "subject": _subject(file, chunks),
        "laterality": side,
        "acquired": acquired,
        "device": _device(file, chunks),
        "warnings": ("laterality-unknown",) if side is None else (),
    }


def _capture(file: BinaryFile, chunks: _Chunks) -> tuple[Laterality | None, date | None]:
    for name, layout in ((b"@CAPTURE_INFO_02", "<B105x3H"), (b"@CAPTURE_INFO", "<B3H")):
        part = _part(file, chunks, name)
        if part is not None:
            eye, *calendar = part.unpack(layout)
            return _SIDES.get(eye), day(*calendar)
    return None, None


def _subject(file: BinaryFile, chunks: _Chunks) -> Subject:
    """From the plain chunk; its successor `@PATIENT_INFO_03` is encrypted and stays unread."""
    part = _part(file, chunks, b"@PATIENT_INFO_02")
    if part is None:
        return Subject()
    identifier, sex, *birth = part.unpack("<32s72xB3H")
    return Subject(identifier=text(identifier), sex=_SEXES.get(sex), birth_date=day(*birth))


def _device(file: BinaryFile, chunks: _Chunks) -> str | None:
    for name in (b"@HW_INFO_03", b"@HW_INFO_02", b"@HW_INFO_01"):
        part = _part(file, chunks, name)
        if part is not None:
            model = (text(part.take(16)) or "").upper()
            return next((ours for theirs, ours in _DEVICES.items() if theirs in model), None)
    return None


def _volume(file: BinaryFile, chunks: _Chunks, facts: dict[str, Any]) -> OctVolume:
    compressed, raw = _part(file, chunks, _JPEG), _part(file, chunks, _SCAN)
    if compressed is not None:
        mode, pixels = _compressed_slices(compressed)
    elif raw is not None:
        mode, pixels = _raw_slices(raw)
    else:
        detail = "The file holds neither compressed nor raw B-scans of a known kind."
        raise RefusedError(reason="no-volume", detail=detail, fix="Export the OCT volume as DICOM or as .fda.")
    pattern = _PATTERNS.get(mode)
    spacing = _spacing(file, chunks, pixels.shape, parallel=pattern == "raster")
    return OctVolume(source_format="topcon", pixels=pixels, spacing=spacing, scan_pattern=pattern, **facts)


def _compressed_slices(part: BinaryFile) -> tuple[int, npt.NDArray[Any]]:
    mode, _, _, width, height, count, _ = part.unpack("<B6I")
    shape = (count, height, width)
    check_size(shape, most=MAX_VOXELS)
    if count * 4 > part.remaining:
        raise truncated(part.position + count * 4, part.size)
    first = _slice(part, (height, width))
    pixels = np.empty(shape, first.dtype)
    pixels[0] = first
    for number in range(1, count):
        image = _slice(part, (height, width))
        if image.dtype != pixels.dtype:
            detail = "The B-scans differ in their depth of bits."
            raise RefusedError(reason="slices-differ", detail=detail, fix=EXPORT_AGAIN)
        pixels[number] = image
    return mode, pixels


def _slice(part: BinaryFile, size: tuple[int, int]) -> npt.NDArray[Any]:
    image = decode(part.take(part.unpack("<I")[0]), formats=_ENCODINGS, expected=size, most=_MOST_OF_A_SLICE)
    if image.ndim != 2:
        raise RefusedError(reason="colour-model", detail="A B-scan is not gray.", fix=EXPORT_AGAIN)
    return image


def _raw_slices(part: BinaryFile) -> tuple[int, npt.NDArray[np.uint16]]:
    mode, width, height, bits, count, _, size = part.unpack("<B4IBI")
    shape = (count, height, width)
    voxels = check_size(shape, most=MAX_VOXELS, available_bytes=min(size, part.remaining), voxel_bytes=2)
    if bits != 16 or size != 2 * voxels:
        detail = f"The file declares {bits} bits a voxel and {size} bytes for {voxels} voxels; 16 bits are known."
        raise RefusedError(reason="pixel-format", detail=detail, fix=EXPORT_AGAIN)
    return mode, np.frombuffer(part.take(size), "<u2").reshape(shape).astype(np.uint16, copy=True)


def _spacing(file: BinaryFile, chunks: _Chunks, shape: tuple[int, ...], *, parallel: bool) -> Spacing:
    """Extents in mm over the number of slices and columns, and the resolution in depth, which is in micrometres."""
    part = _part(file, chunks, b"@PARAM_SCAN_04")
    if part is None:
        return Spacing(None, None, None)
    along, across, depth = part.unpack("<12x3d")
    return Spacing(
        millimetres(across / shape[0]) if parallel else None,
        millimetres(depth / 1000),
        millimetres(along / shape[2]),
    )


def _photo(file: BinaryFile, chunks: _Chunks) -> npt.NDArray[np.uint8] | None:
    for name, layout in ((_PHOTO, "<6I"), (_RAW_PHOTO, "<4IBI")):
        part = _part(file, chunks, name)
        if part is not None:
            width, height, bits, _, _, size = part.unpack(layout)
            if min(width, height) < _LEAST_PHOTO or bits != 24:
                return None
            check_size((height, width), most=MAX_PHOTO_PIXELS)
            image = _photo_pixels(part, name, size, (height, width))
            return np.ascontiguousarray(image[..., ::-1])
    return None


def _photo_pixels(part: BinaryFile, name: bytes, size: int, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if name == _RAW_PHOTO:
        return np.frombuffer(part.take(3 * shape[0] * shape[1]), np.uint8).reshape(*shape, 3)
    image = decode(part.take(size), formats=_ENCODINGS, expected=shape)
    if image.shape != (*shape, 3):
        detail = "The photograph in the file has not the three channels that it declares."
        raise RefusedError(reason="colour-model", detail=detail, fix=EXPORT_AGAIN)
    return image
