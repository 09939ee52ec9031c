"""Synthetic Topcon files: .fda and .fds."""

from __future__ import annotations

import struct

import numpy as np
from clinical_vendor_common import SOMEBODY, Person, gray_volume, jpeg2000, padded


def fda(
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    eye: int | None = 1,
    extents: tuple[float, float, float] = (6.0, 6.0, 3.5),
    mode: int = 2,
    photo: np.ndarray | None = None,
    model: str = "3DOCT-1000MK2",
    declared: tuple[int, int, int] | None = None,
) -> bytes:
    """A .fda file: B-scans as JPEG 2000 without loss.

    Args:
        pixels: (slices, depth, along-scan), uint8 or uint16.
        person: goes into the patient's chunk.
        eye: 0 right, 1 left, None without the chunk.
        extents: mm along the scan and across, micrometres a pixel in depth.
        mode: Topcon's number of the scan pattern.
        photo: (rows, columns, 3), RGB.
        model: of the device.
        declared: another size than the true one.
    """
    data = gray_volume(dtype=np.uint8) if pixels is None else pixels
    slices, depth, along = declared or data.shape
    images = [jpeg2000(image) for image in data]
    body = struct.pack("<B6I", mode, 829, 3071, along, depth, slices, 0xA02)
    body += b"".join(struct.pack("<I", len(image)) + image for image in images)
    chunks = _topcon_facts(person, eye, extents, model)
    chunks.insert(2, (b"@IMG_JPEG", body))
    if photo is not None:
        image = jpeg2000(photo[..., ::-1])
        chunks.append(
            (b"@IMG_FUNDUS", struct.pack("<6I", photo.shape[1], photo.shape[0], 24, 1, 0xA02, len(image)) + image)
        )
    return topcon_file(b"FDA", chunks)


def fds(
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    eye: int | None = 1,
    extents: tuple[float, float, float] = (6.0, 6.0, 3.5),
    mode: int = 2,
    photo: np.ndarray | None = None,
    declared: tuple[int, int, int] | None = None,
    bits: int = 16,
) -> bytes:
    """A .fds file: raw B-scans of 16 bits. See `fda` for the arguments."""
    data = gray_volume(dtype=np.uint16) if pixels is None else pixels
    slices, depth, along = declared or data.shape
    size = slices * depth * along * 2
    body = struct.pack("<B4IBI", mode, along, depth, bits, slices, 0, size % 2**32) + data.astype("<u2").tobytes()
    chunks = _topcon_facts(person, eye, extents, "3DOCT-1000MK2")
    chunks.insert(2, (b"@IMG_SCAN_03", body))
    if photo is not None:
        raw = photo[..., ::-1].tobytes()
        chunks.append((b"@IMG_OBS", struct.pack("<4IBI", photo.shape[1], photo.shape[0], 24, 1, 0, len(raw)) + raw))
    return topcon_file(b"FDS", chunks)


def _topcon_facts(
    person: Person, eye: int | None, extents: tuple[float, float, float], model: str
) -> list[tuple[bytes, bytes]]:
    birth = (person.birth.year, person.birth.month, person.birth.day)
    day = (person.acquired.year, person.acquired.month, person.acquired.day, 9, 23, 36)
    who = padded(person.identifier, 32) + padded(person.given, 32) + padded(person.family, 32) + bytes(8)
    sex = {"M": 1, "F": 2}.get(person.sex, 3)
    patient = (who + struct.pack("<B3H", sex, *birth)).ljust(500, b"\0") + padded(person.comment, 115)
    chunks = [
        (b"@HW_INFO_03", padded(model, 16) + padded("203040", 84)),
        (b"@PATIENT_INFO_02", patient),
        (b"@PARAM_SCAN_04", struct.pack("<12s5d9s", b"", *extents, 0.0, 0.0, b"\1\1")),
    ]
    if eye is not None:
        capture = struct.pack("<BBI100s6H", eye, 2, 0, padded(person.comment, 100), *day)
        chunks.append((b"@CAPTURE_INFO_02", capture))
    return chunks


def topcon_file(kind: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(bytes([len(name)]) + name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"FOCT" + kind + struct.pack("<2I", 1, 1001) + body + b"\0"
