"""Heidelberg raw export (.vol): a header of 2,048 bytes, the infrared image, then each B-scan with its own header.

Read here without a library: the layout is short and documented (Heidelberg's "Special Function: Exporting Raw Data";
the structure is also written down in eyepy, MIT, which serves the tests as an independent reader). eyepy would bring
scikit-image, pandas and parsers that allocate by the lengths that a file declares.

Slices stand in the order of the file: Heidelberg scans upwards, so the first one is the lowest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN, BinaryFile, binary_file, day_of_serial, day_of_ticks, millimetres, text
from medmd.io._heidelberg import CLIPPED, DEVICE, LATERALITY_UNKNOWN, PATTERNS, display
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._records import Laterality, OctVolume, Spacing, Subject
from medmd.io._refusal import RefusedError
from medmd.io._source import Source

_DEVICE_MAGIC = b"HSF-OCT-"
# Written by eyepy, whose file header may name another length of the B-scan headers than these have.
_EYEPY_MAGIC = b"ep-v"
_HEADER = struct.Struct("<12s3I3d2I2dId4sQiI16s16sI24sdI24sd")
_HEADER_BYTES = 2048
_SLICE_HEADER = struct.Struct("<12sI4d2If")
_SIDES: dict[str | None, Laterality] = {"OD": "R", "OS": "L"}


class _Header(NamedTuple):
    version: bytes
    width: int
    slices: int
    height: int
    scale_x: float
    distance: float
    scale_y: float
    slo_width: int
    slo_height: int
    slo_scale_x: float
    slo_scale_y: float
    field_size: int
    focus: float
    position: bytes
    exam_time: int
    pattern: int
    slice_header_bytes: int
    identifier: bytes
    reference: bytes
    internal_patient: int
    patient: bytes
    birth: float
    internal_visit: int
    visit: bytes
    visit_date: float


def matches(head: bytes, source: Source) -> bool:
    """By the signature."""
    return head.startswith((_DEVICE_MAGIC, _EYEPY_MAGIC))


def read_all(source: Source) -> Iterable[OctVolume]:
    """The one volume of the file."""
    with binary_file(source) as file:
        header = _Header(*_HEADER.unpack(file.take(_HEADER.size)))
        pixels, quality, clipped = _slices(file, header)
    return [_volume(header, pixels, quality, clipped)]


def _slices(file: BinaryFile, header: _Header) -> tuple[npt.NDArray[np.uint8], list[float], bool]:
    shape = (header.slices, header.height, header.width)
    check_size(shape, most=MAX_VOXELS, available_bytes=file.size, voxel_bytes=4)
    file.seek(_HEADER_BYTES + header.slo_width * header.slo_height)
    pixels = np.empty(shape, np.uint8)
    quality, clipped = [], False
    for number in range(header.slices):
        start = file.position
        _, length, *_, signal = _SLICE_HEADER.unpack(file.take(_SLICE_HEADER.size))
        _check_length(length, header)
        file.seek(start + length)
        raw = np.frombuffer(file.take(header.height * header.width * 4), "<f4").reshape(shape[1:])
        pixels[number], cut = display(raw)
        clipped |= cut
        quality.append(signal)
    return pixels, quality, clipped


def _check_length(length: int, header: _Header) -> None:
    declared = header.slice_header_bytes if header.version.startswith(_DEVICE_MAGIC) else length
    if length < _SLICE_HEADER.size or length != declared:
        detail = "The headers of the file and of a B-scan disagree about their length."
        raise RefusedError(reason="header-contradicts", detail=detail, fix=EXPORT_AGAIN)


def _volume(header: _Header, pixels: npt.NDArray[np.uint8], quality: list[float], clipped: bool) -> OctVolume:
    side = _SIDES.get(text(header.position))
    warnings = [CLIPPED] * clipped + [LATERALITY_UNKNOWN] * (side is None)
    known = [value for value in quality if 0 <= value < 1e3]
    pattern = PATTERNS.get(header.pattern)
    parallel = header.slices > 1 and pattern in ("raster", None)
    return OctVolume(
        source_format="heidelberg-vol",
        subject=Subject(identifier=text(header.patient), birth_date=day_of_serial(header.birth)),
        laterality=side,
        acquired=day_of_ticks(header.exam_time) or day_of_serial(header.visit_date),
        device=DEVICE,
        warnings=tuple(warnings),
        pixels=pixels,
        spacing=Spacing(
            millimetres(header.distance) if parallel else None,
            millimetres(header.scale_y),
            millimetres(header.scale_x),
        ),
        scan_pattern=pattern,
        signal=round(sum(known) / len(known), 3) if known else None,
    )
