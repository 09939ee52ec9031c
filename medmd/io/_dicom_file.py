"""The header of a DICOM file within bounds: only named elements are read, and little of them.

Memory and time are bounded by what is read, not by what lengths in the file say: see `MAX_HEADER_BYTES`,
`MAX_HEADER_READS`, `MAX_HEADER_ITEMS` and `MAX_INFLATED_BYTES`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from medmd.io._binary import EXPORT_AGAIN, truncated
from medmd.io._dicom_keywords import KEYWORDS
from medmd.io._refusal import RefusedError
from medmd.io._source import Source, opened, size

PREAMBLE = 128
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
UNDEFINED = 0xFFFFFFFF

# Named elements of a volume of 1,024 slices take about 2 MiB in 100,000 reads and 10,000 items. An item costs the most:
# pydicom makes a dataset of it, in 50 microseconds.
MAX_HEADER_BYTES = 2**23
MAX_HEADER_READS = 250_000
MAX_HEADER_ITEMS = 50_000
# Deflated files are inflated whole: half the largest volume.
MAX_INFLATED_BYTES = 2**29

_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_LONG = (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UC", b"UR", b"UT", b"SV", b"UV")
_SHORT = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
)  # fmt: skip
_ITEM = b"\xfe\xff\x00\xe0"
_TAGS = [tag for keyword in KEYWORDS if (tag := tag_for_keyword(keyword)) is not None]
_MOST_META = 64
_MEDIA_CLASS, _SYNTAX = b"\x02\x00\x02\x00", b"\x02\x00\x10\x00"


@dataclass(frozen=True, kw_only=True)
class DicomFile:
    """An open file whose header is read.

    Args:
        header: the elements that `KEYWORDS` names, as far as the file has them, and nothing else of the first level.
        media_class: SOP class that the file meta information names, for files that are no object of their own.
        syntax: UID of the transfer syntax.
        stream: the file, or what inflating it gave.
        end: number of bytes of `stream`.
        pixels_at: where the value of the pixel data begins, or None without any.
        pixels_length: its declared length, `UNDEFINED` when encapsulated.
    """

    header: Dataset
    media_class: str
    syntax: str
    stream: BinaryIO
    end: int
    pixels_at: int | None
    pixels_length: int


def looks_like_dicom(head: bytes) -> bool:
    """By the magic word, or without a preamble by a plausible first element of group 2 or 8."""
    if head[PREAMBLE : PREAMBLE + 4] == b"DICM":
        return True
    if len(head) < 8 or head[:4] not in _FIRST_TAGS:
        return False
    explicit = head[4:6] in _LONG + _SHORT
    return explicit or 0 < int.from_bytes(head[4:8], "little") <= 128


# Group lengths, character set, image type, dates, class and instance UID: what a file without preamble begins with.
_FIRST_TAGS = tuple(
    struct.pack("<HH", group, element)
    for group, element in ((2, 0), (2, 1), (2, 2), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16), (8, 0x18))
)


@contextmanager
def dicom_file(source: Source) -> Iterator[DicomFile]:
    """Open a file and read its header.

    Raises:
        RefusedError: bounds exceeded, cut off, or a transfer syntax that nothing uses any more.
    """
    with opened(source) as stream:
        end = size(source)
        media_class, syntax = _read_meta(stream)
        if syntax == BIG_ENDIAN:
            detail = "The file is written in the retired big-endian transfer syntax."
            raise RefusedError(reason="transfer-syntax", detail=detail, fix="Export as explicit little endian.")
        plain: BinaryIO = stream
        if syntax == DEFLATED:
            plain = _inflate(stream)
            end = plain.seek(0, io.SEEK_END)
            plain.seek(0)
        yield _read_header(plain, end, media_class, syntax)


def _read_meta(stream: BinaryIO) -> tuple[str, str]:
    """SOP class and transfer syntax; the stream is then at the first element of the dataset."""
    start = stream.read(PREAMBLE + 4)
    if start[PREAMBLE:] != b"DICM":
        stream.seek(0)
    found = {_MEDIA_CLASS: "", _SYNTAX: ""}
    for _ in range(_MOST_META):
        at = stream.tell()
        head = stream.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            stream.seek(at)
            break
        long = head[4:6] in _LONG
        length = int.from_bytes(stream.read(4) if long else head[6:8], "little")
        if head[:4] in found:
            found[head[:4]] = stream.read(min(length, _MOST_META)).strip(b" \0").decode("ascii", "replace")
        stream.seek(at + (12 if long else 8) + length)
    syntax = found[_SYNTAX] or (EXPLICIT if _peek(stream, 8)[4:6] in _LONG + _SHORT else IMPLICIT)
    return found[_MEDIA_CLASS], syntax


def _peek(stream: BinaryIO, count: int) -> bytes:
    at = stream.tell()
    data = stream.read(count)
    stream.seek(at)
    return data


def _inflate(stream: BinaryIO) -> BinaryIO:
    inflater, plain = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    data = stream.read(2**16)
    while data and not inflater.eof:
        plain.write(inflater.decompress(data, 2**20))
        if plain.tell() > MAX_INFLATED_BYTES:
            detail = f"The file inflates to more than {MAX_INFLATED_BYTES} bytes."
            raise RefusedError(reason="size-too-large", detail=detail, fix="Export without deflation.")
        data = inflater.unconsumed_tail or stream.read(2**16)
    plain.seek(0)
    return plain


def _read_header(stream: BinaryIO, end: int, media_class: str, syntax: str) -> DicomFile:
    metered = _Metered(stream, end)
    header = read_dataset(
        metered,  # type: ignore[arg-type]
        syntax == IMPLICIT,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag in _PIXELS,
        specific_tags=list(_TAGS),
    )
    at, length = _pixel_element(stream)
    return DicomFile(
        header=header,
        media_class=media_class,
        syntax=syntax,
        stream=stream,
        end=end,
        pixels_at=at,
        pixels_length=length,
    )


def _pixel_element(stream: BinaryIO) -> tuple[int | None, int]:
    """Where the value of the element at hand begins, and its length, if it is pixel data."""
    start = stream.tell()
    element = stream.read(12)
    if len(element) < 8 or struct.unpack("<HH", element[:4]) not in [divmod(tag, 2**16) for tag in _PIXELS]:
        return None, 0
    explicit = element[4:6] in _LONG
    return start + (12 if explicit else 8), int.from_bytes(element[8:12] if explicit else element[4:8], "little")


class _Metered:
    """A stream for pydicom that refuses to read past the end, or more than a header needs."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream, self._end = stream, end
        self._bytes = self._reads = self._items = 0
        self.tell = stream.tell

    def read(self, count: int = -1) -> bytes:
        at = self._stream.tell()
        # Eight bytes are the next element or item: pydicom itself sees whether there is one.
        if count > 8 and count > self._end - at:
            raise truncated(at + count, self._end)
        if self._bytes + count > MAX_HEADER_BYTES:
            raise _too_large()
        data = self._stream.read(max(count, 0))
        self._bytes += len(data)
        self._reads += 1
        self._items += data.count(_ITEM)
        if self._reads > MAX_HEADER_READS or self._items > MAX_HEADER_ITEMS:
            raise _too_large()
        return data

    def seek(self, position: int, *whence: Any) -> int:
        if not whence and position > self._end:
            raise truncated(position, self._end)
        return self._stream.seek(position, *whence)


def _too_large() -> RefusedError:
    detail = (
        f"The header holds more than {MAX_HEADER_BYTES} bytes, {MAX_HEADER_READS} elements or {MAX_HEADER_ITEMS} "
        "items, more than that of any examination."
    )
    return RefusedError(reason="header-too-large", detail=detail, fix=EXPORT_AGAIN)
