"""Heidelberg database export (.E2E): chunks with a header of 60 bytes each, among directories of them.

Read here without a library: eyepy 0.21 and oct-converter 0.7 follow the directories, whose positions are wrong in
shortened exports, and refuse those files. The structure is described by UOCTE (Apache-2.0) and eyepy (MIT). The chunks
are found in the order of the file instead, each by its signature: its own header tells to whom it belongs.

What is doubtful in the format is not guessed: laterality comes from the series' own chunk (type 11) and never from
that of another series; the birth date is not read, since no published decoding of it is right; of the spacing only the
one in depth is known. Slices stand in the order of their numbers, the lowest place of the eye first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN, BinaryFile, binary_file, day_of_ticks, millimetres, text
from medmd.io._heidelberg import DEVICE, LATERALITY_UNKNOWN, PATTERNS, display_of_packed
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._records import Laterality, OctVolume, Spacing, Subject
from medmd.io._refusal import RefusedError
from medmd.io._source import Source

_MAGIC = b"CMDb"
_MULTIPLE = b"E2EMultipleVolumeFile"
_MULTIPLE_BYTES = 64
_CHUNK = b"MDbData\0\0\0\0\0"
_DIRECTORY = b"MDbDir\0\0\0\0\0\0"
_CHUNK_LAYOUT = "<12s8Ii2H2I"
_CHUNK_BYTES = 60
_MOST_CHUNKS = 2**20
_BLOCK = 2**20

_PATIENT, _SIDE, _SLICE_FACTS, _IMAGE = 9, 11, 10004, 0x40000000
_PACKED_FLOATS = 0x02200201
_SIDES: dict[bytes, Laterality] = {b"R": "R", b"L": "L"}


class _Chunk(NamedTuple):
    start: int
    size: int
    patient: int
    series: tuple[int, int, int]
    slice: int
    kind: int


class _Image(NamedTuple):
    start: int
    height: int
    width: int


@dataclass
class _Series:
    images: dict[int, _Image] = field(default_factory=dict)
    sides: set[Laterality] = field(default_factory=set)
    scale: float | None = None
    pattern: int = 0
    declared: int = 0
    ticks: int = 0


def matches(head: bytes, source: Source) -> bool:
    """By the signature, which a file of several volumes has behind a prefix."""
    start = _MULTIPLE_BYTES if head.startswith(_MULTIPLE) else 0
    return head[start : start + len(_MAGIC)] == _MAGIC


def read_all(source: Source) -> Iterable[OctVolume]:
    """Every series of B-scans of the file; infrared images are passed over."""
    series: dict[tuple[int, int, int], _Series] = {}
    patients: dict[int, Subject] = {}
    with binary_file(source) as file:
        for chunk in _chunks(file):
            _note(file, chunk, series.setdefault(chunk.series, _Series()), patients)
        found = {key: one for key, one in series.items() if one.images}
        if not found:
            detail = "The file holds no OCT B-scans."
            raise RefusedError(reason="no-volume", detail=detail, fix="Export the OCT volume, not only its images.")
        return [
            _volume(file, one, patients.get(key[0], Subject()), f"series-{number}")
            for number, (key, one) in enumerate(found.items())
        ]


def _chunks(file: BinaryFile) -> Iterator[_Chunk]:
    position: int | None = _next_chunk(file, 0)
    for _ in range(_MOST_CHUNKS):
        if position is None:
            return
        file.seek(position)
        _, _, _, _, size, _, patient, study, series, number, _, _, kind, _ = file.unpack(_CHUNK_LAYOUT)
        start = position + _CHUNK_BYTES
        yield _Chunk(start, size, patient, (patient, study, series), number, kind)
        position = start + size if _something_stands_at(file, start + size) else start
        position = _next_chunk(file, position)
    detail = f"The file holds more than {_MOST_CHUNKS} chunks."
    raise RefusedError(reason="size-too-large", detail=detail, fix=EXPORT_AGAIN)


def _something_stands_at(file: BinaryFile, position: int) -> bool:
    """Whether a chunk's length leads to a chunk, a directory or the end: otherwise it is not believed."""
    if position >= file.size:
        return position == file.size
    file.seek(position)
    return file.take(min(len(_CHUNK), file.remaining)) in (_CHUNK, _DIRECTORY)


def _next_chunk(file: BinaryFile, position: int) -> int | None:
    while position + _CHUNK_BYTES <= file.size:
        file.seek(position)
        block = file.take(min(_BLOCK, file.remaining))
        at = block.find(_CHUNK)
        if at >= 0:
            return position + at if position + at + _CHUNK_BYTES <= file.size else None
        position += max(len(block) - len(_CHUNK) + 1, 1)
    return None


def _note(file: BinaryFile, chunk: _Chunk, series: _Series, patients: dict[int, Subject]) -> None:
    file.seek(chunk.start)
    if chunk.kind == _IMAGE:
        _note_image(file, chunk, series)
    elif chunk.kind == _SIDE:
        side = _SIDES.get(file.take(15)[14:])
        series.sides |= {side} if side else set()
    elif chunk.kind == _SLICE_FACTS:
        facts = file.unpack("<3I4fI3fI2f5I2fIQ")
        series.scale, series.declared, series.pattern, series.ticks = facts[9], facts[16], facts[18], facts[22]
    elif chunk.kind == _PATIENT:
        patients[chunk.patient] = _subject(file.take(127))


def _note_image(file: BinaryFile, chunk: _Chunk, series: _Series) -> None:
    _, kind, _, height, width = file.unpack("<5I")
    if kind != _PACKED_FLOATS:
        return
    held = min(chunk.size - 20, file.remaining)
    check_size((height, width), most=MAX_VOXELS, available_bytes=held, voxel_bytes=2)
    if chunk.slice in series.images:
        detail = "Two B-scans of a series have the same number."
        raise RefusedError(reason="slices-repeated", detail=detail, fix=EXPORT_AGAIN)
    series.images[chunk.slice] = _Image(file.position, height, width)


def _subject(raw: bytes) -> Subject:
    letter = raw[101:102].decode("latin-1").upper()
    return Subject(identifier=text(raw[102:]), sex=letter if letter in ("F", "M") else None)  # type: ignore[arg-type]


def _volume(file: BinaryFile, series: _Series, subject: Subject, key: str) -> OctVolume:
    if len(series.sides) > 1:
        detail = "The file names both eyes for one series."
        raise RefusedError(reason="laterality-contradicts", detail=detail, fix=EXPORT_AGAIN)
    side = next(iter(series.sides), None)
    return OctVolume(
        source_format="heidelberg-e2e",
        subject=subject,
        laterality=side,
        acquired=day_of_ticks(series.ticks) if series.ticks else None,
        device=DEVICE,
        warnings=(LATERALITY_UNKNOWN,) if side is None else (),
        pixels=_pixels(file, series),
        spacing=Spacing(None, millimetres(series.scale), None),
        scan_pattern=PATTERNS.get(series.pattern),
        key=key,
    )


def _pixels(file: BinaryFile, series: _Series) -> npt.NDArray[np.uint8]:
    _check_complete(series)
    images = [series.images[number] for number in sorted(series.images)]
    shape = (len(images), images[0].height, images[0].width)
    check_size(shape, most=MAX_VOXELS)
    table, pixels = display_of_packed(), np.empty(shape, np.uint8)
    for number, image in enumerate(images):
        file.seek(image.start)
        raw = np.frombuffer(file.take(2 * shape[1] * shape[2]), "<u2").reshape(shape[1:])
        pixels[number] = table[raw]
    return pixels


def _check_complete(series: _Series) -> None:
    """Numbers of B-scans count by two; a series that lacks one, or mixes sizes, is not the volume that was taken."""
    numbers = sorted(series.images)
    if len({(image.height, image.width) for image in series.images.values()}) > 1:
        detail = "The B-scans of a series differ in size."
        raise RefusedError(reason="slices-differ", detail=detail, fix=EXPORT_AGAIN)
    gaps = any(after - before != 2 for before, after in pairwise(numbers))
    if gaps or (series.declared > 1 and series.declared != len(numbers)):
        detail = f"A series has {len(numbers)} B-scans and gaps between them, or names another number of them."
        raise RefusedError(reason="slices-missing", detail=detail, fix=EXPORT_AGAIN)
