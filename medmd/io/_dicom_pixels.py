"""The frames of a DICOM image, one after the other, with sizes checked before memory is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._dicom_decode import Shape, check_syntax, decode_frame
from medmd.io._dicom_facts import is_zeiss
from medmd.io._dicom_file import DEFLATED, EXPLICIT, IMPLICIT, UNDEFINED, DicomFile
from medmd.io._dicom_fragments import frame_spans, read_spans
from medmd.io._dicom_values import integer, text
from medmd.io._limits import check_size
from medmd.io._refusal import RefusedError

_NATIVE = (IMPLICIT, EXPLICIT, DEFLATED)
_STORED = {8: (8,), 16: (8, 10, 12, 14, 16)}


def frame_count(header: Dataset) -> int:
    """How many frames are declared; 1 when nothing is said."""
    found = integer(header, "NumberOfFrames")
    return 1 if found is None else found


def shape_of(header: Dataset) -> Shape:
    """How the file describes its frames.

    Raises:
        RefusedError: something is missing, or samples are not 8 or 16 bits without a sign.
    """
    found = {
        keyword: integer(header, keyword)
        for keyword in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation")
    }
    absent = [keyword for keyword, value in found.items() if value is None]
    photometric = text(header, "PhotometricInterpretation")
    if absent or photometric is None:
        detail = f"The file does not say {', '.join(absent or ['PhotometricInterpretation'])}."
        raise RefusedError(reason="pixels-undescribed", detail=detail, fix=EXPORT_AGAIN)
    rows, columns, samples, allocated, stored, signed = (int(value or 0) for value in found.values())
    high = integer(header, "HighBit")
    if stored not in _STORED.get(allocated, ()) or signed or (high is not None and high != stored - 1):
        detail = f"Samples have {stored} of {allocated} bits{' and a sign' if signed else ''}."
        raise RefusedError(reason="pixel-type", detail=detail, fix="Export with 8 or 16 bits without a sign.")
    planar = integer(header, "PlanarConfiguration") or 0
    return Shape(rows, columns, samples, allocated, stored, photometric, planar)


def frames(file: DicomFile, shape: Shape, *, most: int) -> Iterator[npt.NDArray[Any]]:
    """Frames in the order in which they are stored.

    Checks come before the first frame is decoded.

    Args:
        file: open.
        shape: see `shape_of`.
        most: greatest number of pixels, samples not counted.

    Yields:
        (rows, columns) or (rows, columns, 3 in RGB), uint8 or uint16 as allocated; values as stored.

    Raises:
        RefusedError: too large, cut off, not decodable, or values beyond the bits that are said to be stored.
    """
    count = frame_count(file.header)
    check_size((count, shape.rows, shape.columns), most=most)
    if file.pixels_at is None:
        raise RefusedError(reason="pixels-missing", detail="The file holds no pixels.", fix=EXPORT_AGAIN)
    found = _plain(file, shape, count) if file.syntax in _NATIVE else _compressed(file, shape, count)
    highest = 2**shape.bits_stored - 1
    for pixels in found:
        if shape.bits_stored < shape.bits_allocated and pixels.max() > highest:
            detail = f"Samples of {shape.bits_stored} bits hold larger values."
            raise RefusedError(reason="pixel-type", detail=detail, fix=EXPORT_AGAIN)
        yield pixels


def full_range(pixels: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    """Samples of which not all bits are stored, scaled by a power of two to the full range of uint8 or uint16."""
    if shape.bits_stored == 8:
        return pixels.astype(np.uint8, copy=False)
    return pixels if shape.bits_stored == shape.bits_allocated else pixels << (shape.bits_allocated - shape.bits_stored)


def _compressed(file: DicomFile, shape: Shape, count: int) -> Iterator[npt.NDArray[Any]]:
    check_syntax(file.syntax, shape.bits_stored)
    zeiss = is_zeiss(file.header)
    for spans in frame_spans(file, count):
        yield decode_frame(read_spans(file.stream, spans), file.syntax, shape, zeiss=zeiss)


def _plain(file: DicomFile, shape: Shape, count: int) -> Iterator[npt.NDArray[Any]]:
    at = int(file.pixels_at or 0)
    half = shape.photometric == "YBR_FULL_422"
    frame_bytes = shape.frame_bytes * 2 // 3 if half else shape.frame_bytes
    available = file.end - at if file.pixels_length == UNDEFINED else min(file.end - at, file.pixels_length)
    check_size((count, frame_bytes), most=2**40, available_bytes=available)
    for number in range(count):
        file.stream.seek(at + number * frame_bytes)
        yield _arrange(file.stream.read(frame_bytes), shape, half=half)


def _arrange(data: bytes, shape: Shape, *, half: bool) -> npt.NDArray[Any]:
    from pydicom.pixels.processing import convert_color_space
    from pydicom.pixels.utils import expand_ybr422

    if half:
        data = bytes(expand_ybr422(data, shape.bits_allocated))
    pixels: npt.NDArray[Any] = np.frombuffer(data, dtype=f"<u{shape.bits_allocated // 8}")
    if shape.samples == 1:
        return pixels.reshape(shape.rows, shape.columns)
    if shape.planar and not half:
        pixels = pixels.reshape(3, shape.rows, shape.columns).transpose(1, 2, 0)
    pixels = pixels.reshape(shape.rows, shape.columns, 3)
    if shape.photometric.startswith("YBR"):
        return convert_color_space(pixels, shape.photometric, "RGB")
    return pixels
