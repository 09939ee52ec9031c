"""Synthetic Heidelberg exports: .vol, .E2E and the XML export."""

from __future__ import annotations

import struct
from datetime import date
from pathlib import Path

import numpy as np
from clinical_vendor_common import SOMEBODY, Person, gray_volume, padded, serial, ticks
from PIL import Image


def vol(
    reflectivity: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    side: str = "OD",
    scales: tuple[float, float, float] = (0.0314, 0.00387, 0.0118),
    pattern: int = 3,
    quality: float = 26.0,
    version: bytes = b"HSF-OCT-103",
    declared: tuple[int, int, int] | None = None,
) -> bytes:
    """A .vol file.

    Args:
        reflectivity: (slices, depth, along-scan), floats 0..1.
        person: goes into the header.
        side: `OD`, `OS` or anything else.
        scales: mm between slices, in depth, along the scan.
        pattern: Heidelberg's number.
        quality: of each B-scan.
        version: signature.
        declared: another size for the header than the true one.
    """
    data = (gray_volume() / 255) if reflectivity is None else reflectivity
    slices, depth, along = declared or data.shape
    length = 256 + 17 * 4 * data.shape[2]
    day = serial(person.acquired)
    header = struct.pack("<12s3I3d", version, along, slices, depth, scales[2], scales[0], scales[1])
    header += struct.pack("<2I2dId4s", 8, 6, 0.01, 0.01, 30, -1.5, side.encode())
    header += struct.pack("<QiI16s16sI", ticks(person.acquired), pattern, length, b"2390", b"", 7)
    header += struct.pack(
        "<24sdI24sd", padded(person.identifier, 24), serial(person.birth), 1, padded(person.comment, 24), day
    )
    parts = [header.ljust(2048, b"\0"), bytes(8 * 6)]
    for number, image in enumerate(data):
        head = struct.pack(
            "<12sI4d2IfI", version, length, 0.0, number * scales[0], 1.0, number * scales[0], 0, 256, quality, 0
        )
        parts += [head.ljust(length, b"\0"), image.astype("<f4").tobytes()]
    return b"".join(parts)


def e2e(
    packed: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    sides: tuple[bytes, ...] = (b"R",),
    scale: float = 0.00387,
    pattern: int = 3,
    first: int = 0,
    declared: int | None = None,
    series: int = 3,
    order: tuple[int, ...] | None = None,
) -> bytes:
    """An .E2E file of one patient and one series of B-scans, with an infrared image and a directory among the chunks.

    Args:
        packed: (slices, depth, along-scan), uint16, Heidelberg's packed floats.
        person: goes into the patient's chunk.
        sides: letters of the laterality chunks.
        scale: mm in depth.
        pattern: Heidelberg's number.
        first: number of the first slice.
        declared: number of slices that the facts name; by default the true one.
        series: number of the series.
        order: of the slices in the file.
    """
    data = gray_volume(dtype=np.uint16) % (63 << 10) if packed is None else packed
    ids = (5, 6, series)
    chunks = [e2e_chunk(9, _e2e_person(person), (5, -1, -1), -1)]
    chunks += [e2e_chunk(11, bytes(14) + side + bytes(12), ids, -1) for side in sides]
    chunks.append(e2e_chunk(0x40000000, struct.pack("<5I", 26, 0x02010201, 6, 2, 3) + bytes(6), ids, -1, ind=0))
    chunks.append(_e2e_directory())
    for number in order or range(len(data)):
        image, slot = data[number].astype("<u2"), 2 * number + first
        facts = _e2e_facts(data.shape, scale, pattern, number, declared, person.acquired)
        chunks.append(e2e_chunk(10004, facts, ids, slot))
        body = struct.pack("<5I", 2 * image.size, 0x02200201, image.size, *image.shape) + image.tobytes()
        chunks.append(e2e_chunk(0x40000000, body, ids, slot, ind=1))
    return b"CMDb".ljust(12, b"\0") + struct.pack("<I", 100) + b"\xff" * 18 + b"\0\0" + b"".join(chunks)


def heyex_xml(
    folder: Path,
    pixels: np.ndarray | None = None,
    person: Person = SOMEBODY,
    *,
    side: str = "R",
    image_side: str | None = None,
    scales: tuple[float, float, float] = (0.0314, 0.00387, 0.0118),
    kind: str = "Volume",
    names: list[str] | None = None,
    prologue: str = '<?xml version="1.0" encoding="UTF-8"?>',
    declared: tuple[int, int] | None = None,
    suffix: str = "tif",
) -> Path:
    """A HEYEX XML export: the XML and an image a B-scan beside it.

    Args:
        folder: where to write.
        pixels: (slices, depth, along-scan), uint8.
        person: goes into the XML.
        side: of the series.
        image_side: of each image, if another.
        scales: mm between slices, in depth, along the scan.
        kind: type of the series.
        names: what the XML calls the images; by default Windows paths as the device writes them.
        prologue: first line of the XML.
        declared: rows and columns that the XML names, if not the true ones.
        suffix: of the image files.
    """
    data = gray_volume() if pixels is None else pixels
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = declared or data.shape[1:]
    blocks = [_xml_image(0, image_side or side, "LOCALIZER", 8, 8, (0.01, 0.01), 0.0, "file:///\\\\nas\\x\\NIR.tif")]
    for number, image in enumerate(data):
        Image.fromarray(image).save(folder / f"B{number}.{suffix}")
        name = names[number] if names else f"file:///\\\\nas\\{person.family}\\B{number}.{suffix}"
        height = 5.0 + number * scales[0]
        blocks.append(
            _xml_image(number + 1, image_side or side, "OCT", rows, columns, (scales[2], scales[1]), height, name)
        )
    path = folder / "export.xml"
    path.write_text(
        f"{prologue}\n<HEDX><BODY><Patient><ID>77</ID><PatientID>{person.identifier}</PatientID>"
        f"<LastName>{person.family}</LastName><FirstNames>{person.given}</FirstNames>"
        f"<Birthdate>{_xml_date(person.birth)}</Birthdate><Sex>{person.sex}</Sex>"
        f"<Study><StudyDate>{_xml_date(person.acquired)}</StudyDate><Operator>{person.comment}</Operator>"
        f"<Series><ID>3</ID><ExaminedStructure>Retina</ExaminedStructure><Modality>OCT</Modality><Type>{kind}</Type>"
        f"<Laterality>{side}</Laterality>{''.join(blocks)}</Series></Study></Patient></BODY></HEDX>",
        encoding="utf-8",
    )
    return path


def e2e_chunk(kind: int, body: bytes, ids: tuple[int, int, int], number: int, *, ind: int = 0xFFFF) -> bytes:
    return struct.pack("<12s5I4i2H2I", b"MDbData", 1, 2, 3, len(body), 0, *ids, number, ind, 0, kind, 9) + body


def _e2e_directory(entries: int = 3) -> bytes:
    return (
        b"MDbDir".ljust(12, b"\0") + struct.pack("<I20s4I", 100, b"\xff" * 18, entries, 0, 0, 0) + bytes(44 * entries)
    )


def _e2e_person(person: Person) -> bytes:
    name = padded(person.given, 31) + padded(person.family, 66)
    return name + struct.pack("<I", 1) + padded(person.sex, 1) + padded(person.identifier, 25) + bytes(4)


def _e2e_facts(
    shape: tuple[int, ...], scale: float, pattern: int, number: int, declared: int | None, day: date
) -> bytes:
    count = shape[0] if declared is None else declared
    facts = struct.pack("<3I4fIf", 1, shape[1], shape[2], -1.0, number / 10, 1.0, number / 10, 0, 0.5)
    facts += struct.pack("<ffIffI", scale, 0.1, 0, 0.2, 0.3, 0)
    facts += struct.pack("<4IffIQIf", shape[2], count, number, pattern, 0.0, number / 10, 0, ticks(day), 9, 0.84)
    return facts.ljust(428, b"\0")


def _xml_date(day: date) -> str:
    return f"<Date><Year>{day.year}</Year><Month>{day.month:02}</Month><Day>{day.day:02}</Day></Date>"


def _xml_image(
    number: int, side: str, kind: str, rows: int, columns: int, scales: tuple[float, float], height: float, name: str
) -> str:
    ends = "".join(
        f"<{end}><Coord><X>{x}</X><Y>{height:.6f}</Y></Coord></{end}>" for end, x in (("Start", 1.5), ("End", 7.5))
    )
    return (
        f"<Image><ID>{number}</ID><ImageNumber>{number}</ImageNumber><Laterality>{side}</Laterality>"
        f"<ImageType><Type>{kind}</Type></ImageType><OphthalmicAcquisitionContext><Width>{columns}</Width>"
        f"<Height>{rows}</Height><ScaleX>{scales[0]}</ScaleX><ScaleY>{scales[1]}</ScaleY>"
        f"<ImageQuality>26</ImageQuality>{ends}</OphthalmicAcquisitionContext>"
        f"<ImageData><ExamURL>{name}</ExamURL></ImageData></Image>"
    )
