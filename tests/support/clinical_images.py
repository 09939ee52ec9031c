"""Synthetic photographs and volumes of plain formats, with identifying text wherever the formats have room for it."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import numpy as np
from clinical_vendor import SOMEBODY, Person, gray_volume, photograph
from PIL import Image, PngImagePlugin

_ORIENTATION, _DESCRIPTION, _ARTIST, _COPYRIGHT, _DAY, _MAKER_NOTE = 0x0112, 0x010E, 0x013B, 0x8298, 0x0132, 0x927C


def exif(person: Person = SOMEBODY, orientation: int | None = None) -> bytes:
    """EXIF with the person's name, number and birth date."""
    tags = Image.Exif()
    tags[_DESCRIPTION] = f"{person.given} {person.family} {person.identifier}"
    tags[_ARTIST] = person.comment
    tags[_COPYRIGHT] = person.birth.isoformat()
    tags[_DAY] = f"{person.acquired:%Y:%m:%d} 10:00:00"
    if orientation is not None:
        tags[_ORIENTATION] = orientation
    return tags.tobytes()


def picture(
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    format: str = "JPEG",
    mode: str | None = None,
    orientation: int | None = None,
    quality: int = 95,
) -> bytes:
    """A photograph, (rows, columns, 3), with EXIF, a comment (JPEG) and text chunks (PNG).

    Args:
        pixels: what it shows, as stored.
        person: goes into everything that can hold text.
        format: `JPEG`, `PNG` or `TIFF`.
        mode: Pillow's mode to convert to before saving, such as `CMYK`.
        orientation: EXIF's, 1..8.
        quality: of JPEG.
    """
    image = Image.fromarray(photograph() if pixels is None else pixels)
    image = image if mode is None else image.convert(mode)
    stream = io.BytesIO()
    name = f"{person.given} {person.family} {person.identifier}"
    if format == "JPEG":
        image.save(
            stream, format, exif=exif(person, orientation), comment=name.encode(), quality=quality, subsampling=0
        )
    elif format == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", name)
        info.add_itxt("Comment", person.comment, zip=True)
        image.save(stream, format, exif=exif(person, orientation), pnginfo=info)
    else:
        tags = {_DESCRIPTION: name, _ARTIST: person.comment}
        tags |= {} if orientation is None else {_ORIENTATION: orientation}
        image.save(stream, format, tiffinfo=tags)
    return stream.getvalue()


def tiff_pages(pixels: np.ndarray | None = None, person: Person = SOMEBODY) -> bytes:
    """A TIFF of several gray pages: (slices, depth, along-scan), uint8 or uint16."""
    pages = [Image.fromarray(page) for page in (gray_volume() if pixels is None else pixels)]
    stream = io.BytesIO()
    tags = {_DESCRIPTION: f"{person.given} {person.family} {person.identifier}"}
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags)
    return stream.getvalue()


_META = {"u1": "MET_UCHAR", "i1": "MET_CHAR", "u2": "MET_USHORT", "i2": "MET_SHORT", "i4": "MET_INT", "f4": "MET_FLOAT"}


def mha(
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    spacing: tuple[float, ...] = (0.0118, 0.00387, 0.0314),
    data_file: str = "LOCAL",
    compressed: bool = False,
    declared: tuple[int, ...] | None = None,
    more: str = "",
) -> bytes:
    """A MetaImage; pixels as (slices, depth, along-scan), spacing and declared sizes fastest axis first."""
    data = gray_volume() if pixels is None else pixels
    size = declared or data.shape[::-1]
    body = zlib.compress(_raw(data)) if compressed else _raw(data)
    lines = [
        "ObjectType = Image",
        f"NDims = {len(size)}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        f"CompressedData = {compressed}",
        *([f"CompressedDataSize = {len(body)}"] if compressed else []),
        f"Comment = {person.given} {person.family}",
        f"0010|0020 = {person.identifier}",
        f"ElementSpacing = {' '.join(map(str, spacing))}",
        f"DimSize = {' '.join(map(str, size))}",
        *more.splitlines(),
        f"ElementType = {_META[data.dtype.str[1:]]}",
        f"ElementDataFile = {data_file}",
    ]
    return ("\n".join(lines) + "\n").encode() + body


_NRRD = {"u1": "uchar", "i1": "signed char", "u2": "ushort", "i2": "short", "i4": "int", "f4": "float", "f8": "double"}


def nrrd(
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    spacing: tuple[float, ...] = (0.0118, 0.00387, 0.0314),
    encoding: str = "raw",
    declared: tuple[int, ...] | None = None,
    more: str = "",
    directions: str | None = None,
) -> bytes:
    """An NRRD; the axes as in `mha`."""
    data = gray_volume() if pixels is None else pixels
    size = declared or data.shape[::-1]
    vectors = (
        tuple(step if place == axis else 0.0 for place in range(len(spacing))) for axis, step in enumerate(spacing)
    )
    given = " ".join(str(vector).replace(" ", "") for vector in vectors)
    lines = [
        "NRRD0004",
        f"# {person.given} {person.family}",
        f"type: {_NRRD[data.dtype.str[1:]]}",
        f"dimension: {len(size)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, size))}",
        f"space directions: {given if directions is None else directions}",
        f"encoding: {encoding}",
        "endian: little",
        *more.splitlines(),
        f"PatientID:={person.identifier}",
    ]
    return ("\n".join(lines) + "\n\n").encode() + (
        _raw(data) if encoding == "raw" else gzip.compress(_raw(data), mtime=0)
    )


_NIFTI = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512}


def nifti(
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    spacing: tuple[float, ...] = (0.0118, 0.00387, 0.0314),
    compressed: bool = False,
    declared: tuple[int, ...] | None = None,
    units: int = 2,
    scale: tuple[float, float] = (1.0, 0.0),
    magic: bytes = b"n+1\0",
    order: str = "<",
    offset: float = 352.0,
    kind: int | None = None,
) -> bytes:
    """A NIfTI-1; the axes as in `mha`."""
    data = gray_volume() if pixels is None else pixels
    size = declared or data.shape[::-1]
    dims = (len(size), *size, *[1] * (7 - len(size)))
    steps = (1.0, *spacing, *[1.0] * (7 - len(spacing)))
    code = _NIFTI[data.dtype.str[1:]] if kind is None else kind
    header = struct.pack(order + "i10s18sihcB", 348, b"", person.family.encode()[:18], 0, 0, b"r", 0)
    header += struct.pack(order + "8h3f4h", *(min(dim, 32767) for dim in dims), 0, 0, 0, 0, code, 8 * data.itemsize, 0)
    header += struct.pack(order + "8f3fhBB4f2i", *steps, offset, *scale, 0, 0, units, 0, 0, 0, 0, 0, 0)
    who = f"{person.given} {person.family} {person.identifier}".encode()
    header += struct.pack(order + "80s24s2h18f16s4s", who, who, 0, 0, *[0.0] * 18, person.identifier.encode(), magic)
    body = header + bytes(4) + data.astype(data.dtype.newbyteorder(order)).tobytes()
    return gzip.compress(body, mtime=0) if compressed else body


def _raw(data: np.ndarray) -> bytes:
    return data.astype(data.dtype.newbyteorder("<")).tobytes()
