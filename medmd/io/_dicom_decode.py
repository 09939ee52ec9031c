"""One compressed frame to samples: JPEG straight by Pillow, everything else by a decoder that pydicom knows."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._dicom_fragments import Declared, jpeg2000_header, jpeg_header
from medmd.io._refusal import RefusedError

_JPEG_START = b"\xff\xd8\xff"
_JPEG2000_STARTS = (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_ADVICE = "Ask for an export of the examination as unobfuscated DICOM (FORUM research export), or as plain images."
# Larger than this the encoded frame cannot be what it says: no method doubles what it cannot compress.
_MOST_SHARE, _MOST_EXTRA = 2, 65536


class Method(NamedTuple):
    """A family of compression.

    Args:
        starts: what its frames begin with; empty when anything will do.
        header: reads the size that a frame declares.
        plugins: of pydicom, by preference.
    """

    starts: tuple[bytes, ...]
    header: Callable[[bytes], Declared | None] | None
    plugins: tuple[str, ...]


_BASELINE = "1.2.840.10008.1.2.4.50"
_EXTENDED = "1.2.840.10008.1.2.4.51"
_PLAIN_JPEG = Method((_JPEG_START,), jpeg_header, ("pillow", "gdcm"))
_OTHER_JPEG = Method((_JPEG_START,), jpeg_header, ("gdcm",))
_JPEG_LS = Method((_JPEG_START,), jpeg_header, ("pyjpegls", "gdcm"))
_JPEG_2000 = Method(_JPEG2000_STARTS, jpeg2000_header, ("pylibjpeg", "pillow", "gdcm"))
METHODS = {
    "1.2.840.10008.1.2.5": Method((), None, ("pylibjpeg", "pydicom")),
    _BASELINE: _PLAIN_JPEG,
    _EXTENDED: _PLAIN_JPEG,
    "1.2.840.10008.1.2.4.57": _OTHER_JPEG,
    "1.2.840.10008.1.2.4.70": _OTHER_JPEG,
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,
    "1.2.840.10008.1.2.4.90": _JPEG_2000,
    "1.2.840.10008.1.2.4.91": _JPEG_2000,
    "1.2.840.10008.1.2.4.201": _JPEG_2000,
    "1.2.840.10008.1.2.4.202": _JPEG_2000,
    "1.2.840.10008.1.2.4.203": _JPEG_2000,
}


class Shape(NamedTuple):
    """How the file describes each of its frames."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    planar: int

    @property
    def frame_bytes(self) -> int:
        """Of a decoded frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


def check_syntax(syntax: str, bits_stored: int) -> None:
    """Refuse what cannot be decoded here, before anything is read for it.

    Raises:
        RefusedError: a video, an unknown method, or one whose decoder is not installed.
    """
    if syntax.startswith("1.2.840.10008.1.2.4.10"):
        detail = "The pixels are compressed as a video."
        raise RefusedError(reason="video", detail=detail, fix="Export still images, with a lossless method.")
    if syntax not in METHODS:
        detail = "The pixels are compressed by a method that no decoder here knows."
        raise RefusedError(reason="transfer-syntax", detail=detail, fix="Export as explicit little endian.")
    if syntax == _EXTENDED and bits_stored != 8:
        detail = "The pixels are compressed as lossy JPEG of 12 bits, which no free decoder reads correctly."
        raise RefusedError(reason="transfer-syntax", detail=detail, fix="Export without loss, or uncompressed.")
    _plugin(syntax)


def decode_frame(data: bytes, syntax: str, shape: Shape, *, zeiss: bool) -> npt.NDArray[Any]:
    """Decode one frame.

    Args:
        data: the encoded frame.
        syntax: one of `METHODS`.
        shape: what the file says of it.
        zeiss: whether Carl Zeiss Meditec made the device, whose frames may be scrambled.

    Returns:
        (rows, columns) or (rows, columns, 3 in RGB), uint8 or uint16.

    Raises:
        RefusedError: scrambled, damaged, or of another size than declared.
    """
    _check_frame(data, METHODS[syntax], shape, zeiss)
    straight = syntax in (_BASELINE, _EXTENDED)
    pixels = _by_pillow(data, shape) if straight else _by_pydicom(data, syntax, shape, zeiss)
    if pixels.shape[:2] != (shape.rows, shape.columns) or pixels.size != shape.rows * shape.columns * shape.samples:
        raise _contradicts(pixels.shape[0], pixels.shape[1], shape)
    return pixels


def _check_frame(data: bytes, method: Method, shape: Shape, zeiss: bool) -> None:
    if len(data) > _MOST_SHARE * shape.frame_bytes + _MOST_EXTRA:
        detail = f"A frame of {shape.frame_bytes} bytes is compressed to {len(data)}."
        raise RefusedError(reason="damaged", detail=detail, fix=EXPORT_AGAIN)
    if method.starts and not data.startswith(method.starts):
        raise _undecodable(zeiss)
    if method.header is None:
        return
    declared = method.header(data)
    if declared is None:
        raise _undecodable(zeiss)
    if declared[:2] != (shape.rows, shape.columns):
        raise _contradicts(declared.rows, declared.columns, shape)
    if declared.samples != shape.samples or declared.bits > shape.bits_allocated:
        detail = (
            f"A frame has {declared.samples} samples of {declared.bits} bits where the file declares {shape.samples} "
            f"of {shape.bits_stored}."
        )
        raise RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)


def _by_pillow(data: bytes, shape: Shape) -> npt.NDArray[Any]:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            if shape.samples == 3:
                _check_colour(image, shape)
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, RefusedError):
            raise
        raise _undecodable(zeiss=False) from None


def _check_colour(image: Any, shape: Shape) -> None:
    """Have Pillow convert what is YCbCr, and only that.

    Without a marker of its own, libjpeg takes three components for YCbCr; the DICOM element must then agree.

    Raises:
        RefusedError: the element says RGB and the JPEG's own marker YCbCr, or the other way round.
    """
    transform = image.info.get("adobe_transform")
    named_rgb = [layer[0] for layer in getattr(image, "layer", [])] == [82, 71, 66]
    is_rgb = transform == 0 or (transform is None and named_rgb)
    says_rgb = shape.photometric == "RGB"
    if says_rgb and not is_rgb and transform is None and "jfif" not in image.info:
        # No marker says otherwise: as the element says, without conversion.
        image.draft("YCbCr", image.size)
    elif says_rgb != is_rgb:
        detail = "The file and the JPEG in it disagree on the colour space."
        raise RefusedError(reason="colour-contradicts", detail=detail, fix="Export without compression.")


def _by_pydicom(data: bytes, syntax: str, shape: Shape, zeiss: bool) -> npt.NDArray[Any]:
    options: dict[str, Any] = {
        "rows": shape.rows,
        "columns": shape.columns,
        "number_of_frames": 1,
        "samples_per_pixel": shape.samples,
        "bits_allocated": shape.bits_allocated,
        "bits_stored": shape.bits_stored,
        "photometric_interpretation": shape.photometric,
        "planar_configuration": shape.planar,
        "pixel_representation": 0,
        "pixel_keyword": "PixelData",
    }
    plugin = _plugin(syntax)
    if plugin == "gdcm":
        _quiet_gdcm()
    buffer = encapsulate([data], has_bot=False)
    try:
        pixels, _ = get_decoder(syntax).as_array(buffer, index=0, decoding_plugin=plugin, **options)
    except Exception:  # noqa: BLE001 - decoders written in C raise what they like; the text may hold what they read
        raise _undecodable(zeiss) from None
    return pixels


def _plugin(syntax: str) -> str:
    available = get_decoder(syntax).available_plugins
    found = next((name for name in METHODS[syntax].plugins if name in available), None)
    if found is None:
        detail = "The decoder for the compression of this file is not installed."
        fix = "Run in the clone: pip install -c constraints.txt -e '.[dicom]'"
        raise RefusedError(reason="decoder-missing", detail=detail, fix=fix)
    return found


@cache
def _quiet_gdcm() -> None:
    """Gdcm writes to the process's standard error what it does not understand."""
    trace = import_module("gdcm").Trace
    for stream in ("Debug", "Warning", "Error"):
        getattr(trace, f"{stream}Off")()


def _undecodable(zeiss: bool) -> RefusedError:
    if zeiss:
        detail = (
            "The frames are scrambled, as CIRRUS exports often are: they would decode to wrong pixels or not at all."
        )
        return RefusedError(reason="zeiss-scrambled", detail=detail, fix=_ADVICE)
    return RefusedError(reason="damaged", detail="A compressed frame cannot be decoded.", fix=EXPORT_AGAIN)


def _contradicts(rows: int, columns: int, shape: Shape) -> RefusedError:
    detail = f"A frame has {rows} x {columns} pixels where the file declares {shape.rows} x {shape.columns}."
    return RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)
