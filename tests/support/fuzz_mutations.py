"""Damage to files, as disks, transfers and attackers do it; the same number gives the same damage."""

import random
import struct
from collections.abc import Callable

# Numbers that lengths, counts and sizes break on.
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
LONG = (*EXTREMES, 2**40, 2**62, 2**63 - 1, 2**64 - 1)


def mutate(data: bytes, number: int, others: list[bytes]) -> bytes:
    """`data` with one to four kinds of damage.

    Args:
        data: a whole file.
        number: chooses the damage.
        others: further files, from which parts are taken.
    """
    draw = random.Random(number)  # noqa: S311 - damage, not secrets
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        data = draw.choice(DAMAGES)(data, draw, others)
    return data


def truncated(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """The end is missing."""
    return data[: draw.randrange(len(data) + 1)]


def flipped(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """Single bits are wrong."""
    found = bytearray(data)
    for _number in range(draw.choice((1, 1, 3, 20))):
        if found:
            found[_place(found, draw)] ^= 1 << draw.randrange(8)
    return bytes(found)


def length_bomb(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """A number somewhere is an extreme one."""
    width, code = draw.choice(((2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    value = draw.choice(LONG) % (1 << 8 * width)
    packed = struct.pack(draw.choice("<>") + code, value)
    place = _place(data, draw)
    return data[:place] + packed + data[place + width :]


def digits_bomb(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """A number written in digits is a long one."""
    places = [index for index, byte in enumerate(data[:65536]) if 48 <= byte <= 57]
    if not places:
        return data
    place = draw.choice(places)
    return data[:place] + draw.choice((b"999999999", b"-1", b"0", b"1e308", b"nan", b"9" * 400)) + data[place + 1 :]


def removed(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """A piece is missing."""
    place = _place(data, draw)
    return data[:place] + data[place + draw.choice((1, 2, 7, 64, 1000)) :]


def repeated(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """A piece is there many times, as in nested sequences."""
    place = _place(data, draw)
    piece = data[place : place + draw.choice((1, 8, 64))]
    return data[:place] + piece * draw.choice((2, 16, 500)) + data[place:]


def spliced(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """The rest is another file's."""
    other = draw.choice(others)
    return data[: _place(data, draw)] + other[_place(other, draw) :]


def filled(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """A stretch holds one byte, or noise."""
    place, length = _place(data, draw), draw.choice((4, 32, 512))
    noise = bytes([draw.choice((0, 255, 65))]) * length if draw.random() < 0.7 else draw.randbytes(length)
    return data[:place] + noise + data[place + length :]


def _place(data: bytes | bytearray, draw: random.Random) -> int:
    """Mostly near the start, where headers are."""
    reach = len(data) if draw.random() < 0.4 else min(len(data), draw.choice((32, 512, 4096)))
    return draw.randrange(reach) if reach else 0


Damage = Callable[[bytes, random.Random, list[bytes]], bytes]
DAMAGES: list[Damage] = [
    truncated,
    flipped,
    flipped,
    length_bomb,
    length_bomb,
    digits_bomb,
    removed,
    repeated,
    spliced,
    filled,
]
