"""The slices of one eye: in numeric order, complete, of one size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep.stage2._tree import File
from medmd.utils import MedmdError

_FEWEST = 2
_EIGHT_BITS = ("L", "RGB", "P", "RGBA", "1")


class ImageFaultError(MedmdError):
    """Why images of one eye are set aside: `reason`, and the details as text."""

    def __init__(self, *, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def in_order(slices: Sequence[tuple[int, File]]) -> list[File]:
    """The slices by the number in their names, read as a whole: 2 comes before 10.

    Raises:
        ImageFaultError: a number is there twice or missing (they run from 0 or 1), or fewer than two slices.
    """
    ordered = sorted(slices, key=lambda pair: (pair[0], pair[1].name))
    numbers = [number for number, _ in ordered]
    doubled = sorted({number for number, after in pairwise(numbers) if number == after})
    if doubled:
        raise ImageFaultError(reason="slice_twice", detail=f"number {_list(doubled)} there twice")
    if len(numbers) < _FEWEST:
        raise ImageFaultError(reason="slices_missing", detail=f"{len(numbers)} slice")
    absent = sorted(set(range(min(numbers[0], 1), numbers[-1] + 1)) - set(numbers))
    if absent:
        raise ImageFaultError(reason="slices_missing", detail=f"number {_list(absent)} missing, {len(numbers)} there")
    return [file for _, file in ordered]


def decode_slices(contents: Sequence[bytes]) -> Iterator[npt.NDArray[np.uint8]]:
    """Decode slices one after the other.

    Args:
        contents: the files' bytes in order.

    Yields:
        (depth, along-scan) uint8; a slice stored in colour is made grey, which changes nothing where its channels are
        equal.

    Raises:
        ImageFaultError: a slice cannot be read or is not 8-bit, differs in size from the first, or all are one grey.
    """
    size: tuple[int, ...] | None = None
    low, high = 255, 0
    for number, data in enumerate(contents):
        pixels = _decode(data, number)
        if size is not None and pixels.shape != size:
            raise ImageFaultError(
                reason="slices_differ",
                detail=f"slice {number + 1} of {len(contents)} is {pixels.shape}, the first {size}",
            )
        size = pixels.shape
        if low == high or number == 0:
            low, high = min(low, int(pixels.min())), max(high, int(pixels.max()))
        yield pixels
    if low == high:
        raise ImageFaultError(reason="oct_blank", detail=f"every pixel is {low}")


def _decode(data: bytes, number: int) -> npt.NDArray[np.uint8]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(data)) as file:
                if file.mode not in _EIGHT_BITS:
                    raise ImageFaultError(
                        reason="slice_unreadable", detail=f"slice {number + 1}: mode {file.mode}, expected 8-bit grey"
                    )
                pixels: npt.NDArray[Any] = np.asarray(file if file.mode == "L" else file.convert("L"))
                return pixels
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        if isinstance(error, ImageFaultError):
            raise
        raise ImageFaultError(
            reason="slice_unreadable", detail=f"slice {number + 1}: {type(error).__name__}"
        ) from error


def _list(numbers: Sequence[int], most: int = 5) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
