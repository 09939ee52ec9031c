"""Bounded reading, and the calendars of devices."""

import io
from datetime import date

import pytest

from medmd.io import RefusedError
from medmd.io._binary import BinaryFile, day, day_of_serial, day_of_ticks, millimetres, text


def test_parts_of_one_stream_are_read_in_turns() -> None:
    file = BinaryFile(io.BytesIO(bytes(range(20))), 20)
    first, second = file.part(2, 5), file.part(10, 4)
    assert (first.take(2), second.take(1), first.take(2)) == (b"\x02\x03", b"\x0a", b"\x04\x05")
    assert (first.position, first.remaining, second.unpack("<BB")) == (4, 1, (11, 12))
    assert second.part(1, 2).take(2) == b"\x0b\x0c"


@pytest.mark.parametrize(("start", "size"), [(-1, 5), (0, 21), (15, 6), (0, -1)])
def test_a_part_lies_within_its_whole(start: int, size: int) -> None:
    with pytest.raises(RefusedError, match="truncated"):
        BinaryFile(io.BytesIO(bytes(20)), 20).part(start, size)


@pytest.mark.parametrize("count", [-1, 6, 2**40])
def test_nothing_is_read_past_the_end(count: int) -> None:
    part = BinaryFile(io.BytesIO(bytes(20)), 20).part(0, 5)
    with pytest.raises(RefusedError, match="truncated"):
        part.take(count)
    with pytest.raises(RefusedError, match="truncated"):
        part.seek(count)


def test_a_file_that_shrinks_meanwhile_is_refused() -> None:
    with pytest.raises(RefusedError, match="truncated"):
        BinaryFile(io.BytesIO(bytes(5)), 20).take(10)


def test_calendars() -> None:
    # Known points: Unix's epoch as a Windows file time, and 1 January 2000 as spreadsheets count.
    assert day_of_ticks(116_444_736_000_000_000) == date(1970, 1, 1)
    assert day_of_ticks(116_444_736_000_000_000 - 1) == date(1969, 12, 31)
    assert day_of_serial(36526.75) == date(2000, 1, 1)
    assert day_of_serial(-3.0) is None
    assert day_of_serial(float("nan")) is None
    assert day_of_ticks(2**64 - 1) is None
    assert day_of_ticks(1) is None
    assert (day(2012, 2, 29), day(2011, 2, 29), day(1, 1, 1), day(0, 0, 0)) == (date(2012, 2, 29), None, None, None)


@pytest.mark.parametrize("value", [None, 0.0, -0.1, float("nan"), float("inf"), 20.1])
def test_distances_that_cannot_be_are_unknown(value: float | None) -> None:
    assert millimetres(value) is None


def test_padded_text() -> None:
    assert (text(b"ab c\0junk"), text(b"  \0"), text(b"M\xfcller ")) == ("ab c", None, "Müller")
