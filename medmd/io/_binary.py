"""Reading a binary file of unknown honesty: nothing is allocated for a length that the file does not have."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, BinaryIO

from medmd.io._refusal import RefusedError
from medmd.io._source import Source, opened, size

EXPORT_AGAIN = "Export the examination again."
# Farther than any voxel of an eye: a distance above is not one in mm.
_MOST_MM = 20.0
_YEARS = range(1900, 2101)
# From the earliest epoch to the last of these years.
_MOST_DAYS = (date(2101, 1, 1) - date(1601, 1, 1)).days


class BinaryFile:
    """A stream, or a part of one, that refuses to read past its end.

    Args:
        stream: seekable. Parts of one stream may be read in turns.
        size: number of bytes of the part.
        start: where it begins in the stream.
    """

    def __init__(self, stream: BinaryIO, size: int, start: int = 0) -> None:
        self._stream, self._start = stream, start
        self.size = size
        self.position = 0

    @property
    def remaining(self) -> int:
        """Number of bytes up to the end."""
        return self.size - self.position

    def seek(self, position: int) -> None:
        """Go to a byte.

        Raises:
            RefusedError: it lies outside of the part.
        """
        if not 0 <= position <= self.size:
            raise truncated(position, self.size)
        self.position = position

    def part(self, start: int, size: int) -> BinaryFile:
        """A part that cannot be left.

        Raises:
            RefusedError: it is not within this one.
        """
        if not 0 <= start <= start + size <= self.size:
            raise truncated(start + size, self.size)
        return BinaryFile(self._stream, size, self._start + start)

    def take(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            RefusedError: there are fewer. Asked before: a length of 4 GiB in a small file costs nothing.
        """
        if not 0 <= count <= self.remaining:
            raise truncated(self.position + count, self.size)
        self._stream.seek(self._start + self.position)
        data = self._stream.read(count)
        if len(data) != count:
            raise truncated(self.position + count, self.size)
        self.position += count
        return data

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """The next fields, by the format of `struct`."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))


@contextmanager
def binary_file(source: Source) -> Iterator[BinaryFile]:
    """Open a path or bytes for bounded reading."""
    with opened(source) as stream:
        yield BinaryFile(stream, size(source))


def truncated(needed: int, held: int) -> RefusedError:
    """The file ends too early, or a length in it is wrong."""
    detail = f"By its own lengths the file needs at least {needed} bytes; it has {held}."
    return RefusedError(reason="truncated", detail=detail, fix=EXPORT_AGAIN)


def text(raw: bytes) -> str | None:
    """A padded field up to its first NUL; None when it is empty."""
    return raw.split(b"\0", 1)[0].decode("latin-1").strip() or None


def day(year: int, month: int, day_of_month: int) -> date | None:
    """A calendar day; None when there is no such day between 1900 and 2100 (devices write zeros for unknown)."""
    if year not in _YEARS:
        return None
    try:
        return date(year, month, day_of_month)
    except ValueError:
        return None


def day_of_ticks(ticks: int) -> date | None:
    """Day of a Windows file time: steps of 100 ns since 1601."""
    # Whole days first: as a float the number of steps would be rounded over midnight.
    return _later(date(1601, 1, 1), ticks // 864_000_000_000)


def day_of_serial(days: float) -> date | None:
    """Day of an OLE date: days since 30 December 1899; zero means that there is none."""
    return _later(date(1899, 12, 30), days) if days else None


def millimetres(value: float | None) -> float | None:
    """A distance between voxels that can be true, otherwise None."""
    if value is None or not math.isfinite(value) or not 0 < value <= _MOST_MM:
        return None
    return float(value)


def _later(epoch: date, days: float) -> date | None:
    if not math.isfinite(days) or not 0 <= days <= _MOST_DAYS:
        return None
    found = epoch + timedelta(days=int(days))
    return found if found.year in _YEARS else None
