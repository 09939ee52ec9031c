"""Plain images: a colour photograph as JPEG, PNG or TIFF; a TIFF of several gray pages as a volume.

Of EXIF only the orientation is used, everything else is left behind. Colours of more than 8 bits a channel are read
with their upper 8 bits (Pillow's way). Who is shown, which eye and when stands in the site's table, never here.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._pillow import opened_image, pixels_of
from medmd.io._records import FundusPhoto, OctVolume
from medmd.io._refusal import RefusedError
from medmd.io._source import Source, size
from medmd.io._tiff import check_pieces

_FORMATS = ("JPEG", "PNG", "TIFF")
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112
_MOST_PAGES = 4096
_AS_RGB = "Export the photograph as RGB with 8 bits a channel."
# Modes that hold the same colours as RGB, without a model of their own.
_CONVERTIBLE = ("P", "YCbCr", "RGBX")
_GRAY = ("1", "L", "LA", "I", "F", "I;16", "I;16L", "I;16B")


def matches(head: bytes, source: Source) -> bool:
    """By the signatures of JPEG, PNG and TIFF."""
    return head.startswith(_SIGNATURES)


def read_all(source: Source) -> Iterable[FundusPhoto | OctVolume]:
    """The photograph, or the volume of all pages."""
    stream: Any = BytesIO(source) if isinstance(source, bytes) else source
    with opened_image(stream, _FORMATS, held=size(source)) as image:
        pages = int(getattr(image, "n_frames", 1))
        if pages == 1:
            return [_photograph(image)]
        return [_volume(image, pages)]


def _photograph(image: Image.Image) -> FundusPhoto:
    upright, warnings = _upright(image)
    pixels = np.array(_rgb(upright), dtype=np.uint8)
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        detail = "The image has three equal channels: gray, such as a red-free or infrared one."
        raise RefusedError(reason="gray-image", detail=detail, fix="Export the colour photograph.")
    return FundusPhoto(source_format="picture", pixels=pixels, warnings=warnings)


def _upright(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """By EXIF's orientation. Where EXIF cannot be read, the image stands as it is stored."""
    check_pieces(image)
    image.load()
    try:
        image.getexif().get(_ORIENTATION)
        return ImageOps.exif_transpose(image), ()
    except Exception:  # noqa: BLE001 (Pillow raises many kinds over damaged EXIF; none matters to the pixels)
        return image, ("exif-unreadable",)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" or "transparency" in image.info:
        return _opaque(image.convert("RGBA"))
    if image.mode == "RGB":
        return image
    if image.mode in _CONVERTIBLE:
        return image.convert("RGB")
    if image.mode in _GRAY:
        detail = "A single gray image is neither a colour photograph nor a volume."
        raise RefusedError(reason="gray-image", detail=detail, fix="Export the colour photograph, or the whole volume.")
    detail = "The image has another model of colours than RGB, such as that of printers."
    raise RefusedError(reason="colour-model", detail=detail, fix=_AS_RGB)


def _opaque(image: Image.Image) -> Image.Image:
    if image.getchannel("A").getextrema() != (255, 255):
        detail = "The image has transparent places."
        raise RefusedError(reason="transparent", detail=detail, fix=_AS_RGB)
    return image.convert("RGB")


def _volume(image: Image.Image, pages: int) -> OctVolume:
    """Pages in their order; a TIFF does not say more of a scan."""
    if pages > _MOST_PAGES:
        detail = f"The image has {pages} pages; {_MOST_PAGES} are accepted."
        raise RefusedError(reason="size-too-large", detail=detail, fix=EXPORT_AGAIN)
    shape = (pages, image.height, image.width)
    check_size(shape, most=MAX_VOXELS)
    first = _page(image, 0, shape)
    pixels = np.empty(shape, first.dtype)
    for number in range(pages):
        page = _page(image, number, shape)
        if page.dtype != pixels.dtype:
            raise RefusedError(reason="slices-differ", detail="The pages differ in bits.", fix=EXPORT_AGAIN)
        pixels[number] = page
    return OctVolume(source_format="picture", pixels=pixels, warnings=("order-assumed",))


def _page(image: Image.Image, number: int, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    image.seek(number)
    if (image.height, image.width) != shape[1:]:
        raise RefusedError(reason="slices-differ", detail="The pages differ in size.", fix=EXPORT_AGAIN)
    if image.mode not in _GRAY:
        detail = "The file has several coloured pages."
        raise RefusedError(reason="several-images", detail=detail, fix="Export each photograph to a file of its own.")
    check_pieces(image)
    return pixels_of(image)
