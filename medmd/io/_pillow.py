"""Pillow with its hands bound: few formats, sizes asked before pixels are decoded, and nothing of a file printed."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._limits import MAX_PHOTO_PIXELS, check_size
from medmd.io._refusal import RefusedError

# Blank paper compresses like this; photographs have fewer than a hundred pixels a byte.
_MOST_PIXELS_A_BYTE = 1000


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Keep libraries from warning or logging what a file says, at whatever level the program logs."""
    found = [logging.getLogger(name) for name in loggers]
    before = [logger.level for logger in found]
    for logger in found:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(found, before, strict=True):
            logger.setLevel(level)


@contextmanager
def opened_image(stream: Any, formats: Sequence[str], *, held: int | None = None) -> Iterator[Image.Image]:
    """An image whose header is read and whose pixels are not.

    Args:
        stream: a path or a stream.
        formats: Pillow's names of what it may be.
        held: number of bytes of the image; with it, an image far emptier than any photograph is refused.

    Raises:
        RefusedError: larger than Pillow or we accept, or emptier. Damage raises what Pillow raises;
            `medmd.io.read_all` turns it into a refusal.
    """
    with quiet("PIL"):
        try:
            with Image.open(stream, formats=tuple(formats)) as image:
                pixels = check_size((image.height, image.width), most=MAX_PHOTO_PIXELS)
                if held is not None and pixels > _MOST_PIXELS_A_BYTE * held:
                    raise _too_empty(pixels, held)
                yield image
        except (Image.DecompressionBombError, SyntaxError) as error:
            # The text is Pillow's own, but the chain could hold more.
            raise _unreadable(error) from None


def decode(
    data: bytes, *, formats: Sequence[str], expected: tuple[int, int], most: int = MAX_PHOTO_PIXELS
) -> npt.NDArray[Any]:
    """Pixels of an image inside another file.

    Args:
        data: the encoded image.
        formats: Pillow's names of what it may be.
        expected: rows and columns that the surrounding file declares.
        most: greatest number of pixels.

    Returns:
        (rows, columns) or (rows, columns, 3), uint8 or uint16.

    Raises:
        RefusedError: another size, or a kind of pixels that is neither gray nor RGB.
    """
    check_size(expected, most=most)
    with opened_image(io.BytesIO(data), formats) as image:
        if (image.height, image.width) != tuple(expected):
            detail = (
                f"An image has {image.height} x {image.width} pixels where {expected[0]} x {expected[1]} are declared."
            )
            raise RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)
        return pixels_of(image)


def pixels_of(image: Image.Image) -> npt.NDArray[Any]:
    """Decode: gray 8 bits as uint8, gray 16 bits as uint16, RGB as uint8.

    Raises:
        RefusedError: another kind of pixels.
    """
    if image.mode in ("L", "RGB"):
        return np.array(image, dtype=np.uint8)
    if image.mode in ("I;16", "I;16L", "I;16B"):
        return np.array(image).astype(np.uint16)
    detail = "The pixels are neither gray nor red, green and blue."
    raise RefusedError(reason="colour-model", detail=detail, fix="Export as RGB, or as gray of 8 or 16 bits.")


def _too_empty(pixels: int, held: int) -> RefusedError:
    detail = f"The image declares {pixels} pixels in {held} bytes: it is empty, or made to fill the memory."
    return RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)


def _unreadable(error: Exception) -> RefusedError:
    if isinstance(error, Image.DecompressionBombError):
        detail = "The image declares more pixels than are accepted."
        return RefusedError(reason="size-too-large", detail=detail, fix=EXPORT_AGAIN)
    return RefusedError(reason="damaged", detail="The image cannot be decoded.", fix=EXPORT_AGAIN)
