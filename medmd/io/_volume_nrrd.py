"""NRRD: lines of `name: value` up to an empty one, then the voxels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.io._binary import binary_file
from medmd.io._refusal import RefusedError
from medmd.io._source import Source
from medmd.io._volume_header import HEADER_BYTES, Declared, bad_header, detached, numbers, voxels

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_KINDS = {name: kind for kind, names in _TYPES.items() for name in names}
_ENCODINGS = {"raw": False, "gzip": True, "gz": True}
# To mm; the format knows no default, and files without a unit are in mm by custom.
_UNITS = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "m": 1e3, "cm": 10.0, "": 1.0}


def is_nrrd(head: bytes) -> bool:
    """By the signature."""
    return head.startswith(b"NRRD000")


def read_nrrd(source: Source) -> tuple[Declared, npt.NDArray[Any]]:
    """Header and voxels."""
    with binary_file(source) as file:
        start = file.take(min(HEADER_BYTES, file.size))
        end = re.search(rb"\r?\n\r?\n", start)
        fields = _fields(start[: end.start()] if end else start)
        if {"data file", "datafile"} & set(fields):
            raise detached()
        if end is None:
            raise bad_header()
        declared = _declared(fields)
        file.seek(end.end())
        return declared, voxels(file, declared)


def _fields(header: bytes) -> dict[str, str]:
    lines = header.decode("latin-1").splitlines()[1:]
    # Lines with ":=" are free keys and values; comments begin with "#".
    pairs = (line.partition(":") for line in lines if ":=" not in line and not line.startswith("#"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _declared(fields: dict[str, str]) -> Declared:
    kind = _KINDS.get(fields.get("type", "").lower())
    compressed = _ENCODINGS.get(fields.get("encoding", "").lower())
    if kind is None or compressed is None or fields.keys() & {"line skip", "lineskip", "byte skip", "byteskip"}:
        detail = "The voxels are of an unknown type or encoding, or do not follow the header at once."
        raise RefusedError(reason="pixel-format", detail=detail, fix="Save the volume as NRRD, raw or with gzip.")
    shape = numbers(fields.get("sizes", ""), int)
    if numbers(fields.get("dimension", ""), int) != (len(shape),):
        raise bad_header()
    _check_axes(fields, len(shape))
    spacing, turned = _spacing(fields, len(shape))
    big = fields.get("endian", "little").lower() == "big"
    return Declared(
        shape=shape,
        spacing=spacing,
        dtype=np.dtype((">" if big else "<") + kind),
        compressed=compressed,
        turned=turned,
    )


def _check_axes(fields: dict[str, str], axes: int) -> None:
    """Colours, vectors and lists on an axis are no volume."""
    kinds = fields.get("kinds", "domain " * axes).lower().split()
    if any(kind not in ("domain", "space", "???", "none") for kind in kinds):
        detail = "An axis of the image is not one of space, such as that of colours."
        raise RefusedError(reason="axes", detail=detail, fix="Export one volume of a single channel and time.")


def _spacing(fields: dict[str, str], axes: int) -> tuple[tuple[float, ...], bool]:
    unit = _unit(fields)
    if "space directions" in fields:
        vectors = re.findall(r"\(([^)]*)\)", fields["space directions"])
        matrix = np.array([numbers(vector.replace(",", " "), float) for vector in vectors])
        if matrix.shape != (axes, axes):
            raise bad_header()
        lengths = np.linalg.norm(matrix, axis=1)
        turned = not np.allclose(matrix, np.diag(lengths))
        return tuple(float(length * unit) for length in lengths), turned
    words = fields.get("spacings", "1 " * axes).lower().replace("nan", "1")
    spacing = tuple(value * unit for value in numbers(words, float))
    if len(spacing) != axes:
        raise bad_header()
    return spacing, False


def _unit(fields: dict[str, str]) -> float:
    found = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))
    units = {_UNITS.get(name.lower()) for name in found} or {1.0}
    scale = units.pop()
    if units or scale is None:
        detail = "The header gives distances in a unit that is not known, or in several."
        raise RefusedError(reason="spacing-unit", detail=detail, fix="Save the volume with distances in mm.")
    return scale
