"""Which bytes of encapsulated pixel data belong to which frame, and what a codestream declares about itself."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from medmd.io._binary import EXPORT_AGAIN, truncated
from medmd.io._dicom_file import UNDEFINED, DicomFile
from medmd.io._refusal import RefusedError

_ITEM, _DELIMITER = 0xFFFEE000, 0xFFFEE0DD
_EACH = 64


class Span(NamedTuple):
    """Bytes of a file."""

    at: int
    length: int


class Declared(NamedTuple):
    """What a codestream says in its header."""

    rows: int
    columns: int
    samples: int
    bits: int


def frame_spans(file: DicomFile, frames: int) -> list[list[Span]]:
    """The fragments of each frame, nothing of them read yet.

    Raises:
        RefusedError: cut off, or as many frames as declared cannot be made out.
    """
    if file.pixels_at is None or file.pixels_length != UNDEFINED:
        detail = "Compressed pixels are not stored in fragments."
        raise RefusedError(reason="frames-unclear", detail=detail, fix=EXPORT_AGAIN)
    offsets, fragments = _fragments(file, frames)
    if len(fragments) == frames:
        return [[fragment] for fragment in fragments]
    if frames == 1 and fragments:
        return [fragments]
    grouped = _by_offsets(offsets, fragments) if len(offsets) == frames else _by_end_markers(file.stream, fragments)
    if len(grouped) != frames or not all(grouped):
        detail = f"The file declares {frames} frames; in its {len(fragments)} fragments are {len(grouped)}."
        raise RefusedError(reason="frame-count", detail=detail, fix=EXPORT_AGAIN)
    return grouped


def _fragments(file: DicomFile, frames: int) -> tuple[list[int], list[Span]]:
    stream, at = file.stream, int(file.pixels_at or 0)
    table: Span | None = None
    found: list[Span] = []
    while True:
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            raise truncated(at + 8, file.end)
        group, element, length = struct.unpack("<HHL", head)
        tag = group << 16 | element
        if tag == _DELIMITER:
            break
        if tag != _ITEM:
            detail = "The fragments of the pixels do not follow each other."
            raise RefusedError(reason="frames-unclear", detail=detail, fix=EXPORT_AGAIN)
        if length > file.end - at - 8:
            raise truncated(at + 8 + length, file.end)
        if table is None:
            table = Span(at + 8, length)
        else:
            found.append(Span(at + 8, length))
        if len(found) > _EACH * frames + _EACH:
            detail = f"The file declares {frames} frames and has more than {_EACH * frames + _EACH} fragments."
            raise RefusedError(reason="frame-count", detail=detail, fix=EXPORT_AGAIN)
        at += 8 + length
    return _offsets(stream, table, frames), found


def _offsets(stream: BinaryIO, table: Span | None, frames: int) -> list[int]:
    if table is None or table.length != 4 * frames:
        return []
    stream.seek(table.at)
    return list(struct.unpack(f"<{frames}L", stream.read(table.length)))


def _by_offsets(offsets: Sequence[int], fragments: Sequence[Span]) -> list[list[Span]]:
    """Offsets count from the first byte of the first fragment's item tag."""
    start = fragments[0].at if fragments else 0
    starts = {offset: number for number, offset in enumerate(offsets)}
    grouped: list[list[Span]] = []
    for fragment in fragments:
        if starts.get(fragment.at - start) == len(grouped):
            grouped.append([])
        if not grouped:
            return []
        grouped[-1].append(fragment)
    return grouped


def _by_end_markers(stream: BinaryIO, fragments: Sequence[Span]) -> list[list[Span]]:
    """A frame of JPEG's families ends with FFD9 and at most one byte of padding."""
    grouped: list[list[Span]] = []
    ended = True
    for fragment in fragments:
        if ended:
            grouped.append([])
        grouped[-1].append(fragment)
        stream.seek(fragment.at + max(fragment.length - 3, 0))
        ended = b"\xff\xd9" in stream.read(min(fragment.length, 3))
    return grouped if ended else []


def read_spans(stream: BinaryIO, spans: Sequence[Span]) -> bytes:
    """The bytes of a frame."""
    parts = []
    for span in spans:
        stream.seek(span.at)
        parts.append(stream.read(span.length))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def jpeg_header(data: bytes) -> Declared | None:
    """Size by the start-of-frame segment of JPEG or JPEG-LS; None when there is none."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            bits, rows, columns, samples = struct.unpack(">BHHB", data[at + 4 : at + 10])
            return Declared(rows, columns, samples, bits)
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
    return None


def jpeg2000_header(data: bytes) -> Declared | None:
    """Size by the SIZ segment of JPEG 2000 or HTJ2K, bare or within JP2 boxes; None when there is none."""
    at = data[:1024].find(b"\xff\x4f\xff\x51")
    if at < 0 or len(data) < at + 43:
        return None
    x_size, y_size, x_offset, y_offset = struct.unpack(">4L", data[at + 8 : at + 24])
    samples, bits = struct.unpack(">HB", data[at + 40 : at + 43])
    return Declared(y_size - y_offset, x_size - x_offset, samples, (bits & 0x7F) + 1)
