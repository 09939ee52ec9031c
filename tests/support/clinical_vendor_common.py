"""What the synthetic exports of vendors have in common: a person, pixels, and how devices write text and days."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from PIL import Image

TICKS = 10**7


@dataclass(frozen=True)
class Person:
    """Whom a file is about, and when."""

    identifier: str = "1000001"
    family: str = "Smith"
    given: str = "Bob"
    birth: date = date(1947, 12, 23)
    sex: str = "F"
    acquired: date = date(2011, 3, 3)
    comment: str = "looks well"


SOMEBODY = Person()


def gray_volume(
    slices: int = 4, depth: int = 12, along: int = 10, *, seed: int = 0, dtype: type = np.uint8
) -> np.ndarray:
    """A volume without any symmetry."""
    most = np.iinfo(dtype).max
    return np.random.RandomState(seed).randint(0, most + 1, (slices, depth, along)).astype(dtype)


def photograph(rows: int = 90, columns: int = 100, *, seed: int = 0) -> np.ndarray:
    """A smooth colour image, redder than green and greener than blue, brighter at the upper left."""
    y, x = np.mgrid[0:rows, 0:columns]
    light = 200 - 60 * y / rows - 50 * x / columns + np.random.RandomState(seed).rand(rows, columns)
    return np.stack([light, light * 0.6, light * 0.25], -1).astype(np.uint8)


def padded(text: str, length: int) -> bytes:
    return text.encode("latin-1", "replace")[:length].ljust(length, b"\0")


def serial(day: date) -> float:
    """Days since 30 December 1899."""
    return float((day - date(1899, 12, 30)).days)


def ticks(day: date) -> int:
    """A Windows file time at noon."""
    passed = datetime(day.year, day.month, day.day, 12) - datetime(1601, 1, 1)
    return (passed.days * 86400 + passed.seconds) * TICKS


def jpeg2000(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG2000", no_jp2=True)
    return stream.getvalue()
