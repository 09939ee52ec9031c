"""Synthetic exports of vendors, written byte by byte from the published structures, not with the readers' own code.

Every function returns the bytes of a file, or writes a folder and returns the path of the file to read. `Person` holds
what identifies; tests plant canaries there.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

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


# --- Heidelberg -----------------------------------------------------------------------------------------------------


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
    day = _serial(person.acquired)
    header = struct.pack("<12s3I3d", version, along, slices, depth, scales[2], scales[0], scales[1])
    header += struct.pack("<2I2dId4s", 8, 6, 0.01, 0.01, 30, -1.5, side.encode())
    header += struct.pack("<QiI16s16sI", _ticks(person.acquired), pattern, length, b"2390", b"", 7)
    header += struct.pack(
        "<24sdI24sd", _bytes(person.identifier, 24), _serial(person.birth), 1, _bytes(person.comment, 24), day
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
    chunks = [_e2e_chunk(9, _e2e_person(person), (5, -1, -1), -1)]
    chunks += [_e2e_chunk(11, bytes(14) + side + bytes(12), ids, -1) for side in sides]
    chunks.append(_e2e_chunk(0x40000000, struct.pack("<5I", 26, 0x02010201, 6, 2, 3) + bytes(6), ids, -1, ind=0))
    chunks.append(_e2e_directory())
    for number in order or range(len(data)):
        image, slot = data[number].astype("<u2"), 2 * number + first
        facts = _e2e_facts(data.shape, scale, pattern, number, declared, person.acquired)
        chunks.append(_e2e_chunk(10004, facts, ids, slot))
        body = struct.pack("<5I", 2 * image.size, 0x02200201, image.size, *image.shape) + image.tobytes()
        chunks.append(_e2e_chunk(0x40000000, body, ids, slot, ind=1))
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


# --- Topcon ---------------------------------------------------------------------------------------------------------


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
    images = [_jpeg2000(image) for image in data]
    body = struct.pack("<B6I", mode, 829, 3071, along, depth, slices, 0xA02)
    body += b"".join(struct.pack("<I", len(image)) + image for image in images)
    chunks = _topcon_facts(person, eye, extents, model)
    chunks.insert(2, (b"@IMG_JPEG", body))
    if photo is not None:
        image = _jpeg2000(photo[..., ::-1])
        chunks.append(
            (b"@IMG_FUNDUS", struct.pack("<6I", photo.shape[1], photo.shape[0], 24, 1, 0xA02, len(image)) + image)
        )
    return _topcon_file(b"FDA", chunks)


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
    return _topcon_file(b"FDS", chunks)


# --- Zeiss ----------------------------------------------------------------------------------------------------------


def zeiss_name(
    person: Person = SOMEBODY, *, side: str = "OD", scan: str = "Macular Cube 512x128", end: str = "cube_z.img"
) -> str:
    """The name of a raw cube, which holds all that is known of it."""
    when = f"{person.acquired.month}-{person.acquired.day}-{person.acquired.year}_10-42-30"
    return f"P{person.identifier}_{scan}_{when}_{side}_sn1234_{end}"


def zeiss_img(folder: Path, pixels: np.ndarray, person: Person = SOMEBODY, **name: str) -> Path:
    """A raw cube of (slices, 1024, along-scan): stored upside down, mirrored and from the back."""
    scan = f"Macular Cube {pixels.shape[2]}x{pixels.shape[0]}"
    path = folder / zeiss_name(person, **{"scan": scan, **name})
    path.write_bytes(pixels[::-1, ::-1, ::-1].tobytes())
    return path


def hfa_xml(
    person: Person = SOMEBODY,
    *,
    md: str = "-0.52",
    psd: str = "2.03",
    side: str = "L",
    test: str = "24-2 SITA-Standard",
    strategy: str = "SITA-Standard",
    fixation: tuple[str, str] = ("15", "2"),
    positives: str = "20",
    negatives: str = "7",
    study_date: str | None = None,
    test_date: str | None = None,
    colour: str = "White",
    vfi: str | None = None,
    prologue: str = '<?xml version="1.0" encoding="UTF-8"?>',
) -> bytes:
    """A visual field as a Humphrey perimeter exports it to an electronic record (CZM-XML)."""
    day = person.acquired.isoformat()
    index = "" if vfi is None else f"<visual_field_index>{vfi}</visual_field_index>"
    text = f"""{prologue}
<CZM-XML xmlns="http://www.meditec.zeiss.com/czm"><Header><user_name>{person.comment}</user_name></Header>
<DataSet><CZM_HFA_EMR_IOD><iod_version>1.1</iod_version>
<Patient_M><patients_name VR="PN"><family_name>{person.family}</family_name><given_name>{person.given}</given_name>
</patients_name><patient_id VR="LO">{person.identifier}</patient_id>
<patients_birth_date>{person.birth.isoformat()}</patients_birth_date><patients_sex>{person.sex}</patients_sex>
<patient_comments>{person.comment}</patient_comments></Patient_M>
<GeneralStudy_M><study_date>{day if study_date is None else study_date}</study_date></GeneralStudy_M>
<GeneralSeries_M><modality>CZM_HFA</modality><laterality>{side}</laterality>
<performing_physicians_name><value><family_name>{person.comment}</family_name></value></performing_physicians_name>
</GeneralSeries_M>
<GeneralEquipment_M><manufacturer>Carl Zeiss Meditec Inc.</manufacturer>
<manufacturers_model_name>740</manufacturers_model_name></GeneralEquipment_M>
<CZM_HFA_Series_M><test_date>{day if test_date is None else test_date}</test_date><test_name>{test}</test_name>
<test_strategy>{strategy}</test_strategy><stimulus_color>{colour}</stimulus_color>
<fixation_trials>{fixation[0]}</fixation_trials><fixation_errors>{fixation[1]}</fixation_errors>
<false_positives><false_positive_percent>{positives}</false_positive_percent></false_positives>
<false_negatives><false_negative_percent>{negatives}</false_negative_percent></false_negatives></CZM_HFA_Series_M>
<CZM_HFA_Analysis_M><mean_deviation>{md}</mean_deviation>
<pattern_standard_deviation>{psd}</pattern_standard_deviation>{index}</CZM_HFA_Analysis_M>
<ReferencedImage_M><file_reference>{person.family}.tif</file_reference></ReferencedImage_M>
</CZM_HFA_EMR_IOD></DataSet></CZM-XML>"""
    return text.encode("utf-8")


# --- Parts ----------------------------------------------------------------------------------------------------------


def _bytes(text: str, length: int) -> bytes:
    return text.encode("latin-1", "replace")[:length].ljust(length, b"\0")


def _serial(day: date) -> float:
    return float((day - date(1899, 12, 30)).days)


def _ticks(day: date) -> int:
    passed = datetime(day.year, day.month, day.day, 12) - datetime(1601, 1, 1)
    return (passed.days * 86400 + passed.seconds) * TICKS


def _e2e_chunk(kind: int, body: bytes, ids: tuple[int, int, int], number: int, *, ind: int = 0xFFFF) -> bytes:
    return struct.pack("<12s5I4i2H2I", b"MDbData", 1, 2, 3, len(body), 0, *ids, number, ind, 0, kind, 9) + body


def _e2e_directory(entries: int = 3) -> bytes:
    return (
        b"MDbDir".ljust(12, b"\0") + struct.pack("<I20s4I", 100, b"\xff" * 18, entries, 0, 0, 0) + bytes(44 * entries)
    )


def _e2e_person(person: Person) -> bytes:
    name = _bytes(person.given, 31) + _bytes(person.family, 66)
    return name + struct.pack("<I", 1) + _bytes(person.sex, 1) + _bytes(person.identifier, 25) + bytes(4)


def _e2e_facts(
    shape: tuple[int, ...], scale: float, pattern: int, number: int, declared: int | None, day: date
) -> bytes:
    count = shape[0] if declared is None else declared
    facts = struct.pack("<3I4fIf", 1, shape[1], shape[2], -1.0, number / 10, 1.0, number / 10, 0, 0.5)
    facts += struct.pack("<ffIffI", scale, 0.1, 0, 0.2, 0.3, 0)
    facts += struct.pack("<4IffIQIf", shape[2], count, number, pattern, 0.0, number / 10, 0, _ticks(day), 9, 0.84)
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


def _jpeg2000(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG2000", no_jp2=True)
    return stream.getvalue()


def _topcon_facts(
    person: Person, eye: int | None, extents: tuple[float, float, float], model: str
) -> list[tuple[bytes, bytes]]:
    birth = (person.birth.year, person.birth.month, person.birth.day)
    day = (person.acquired.year, person.acquired.month, person.acquired.day, 9, 23, 36)
    who = _bytes(person.identifier, 32) + _bytes(person.given, 32) + _bytes(person.family, 32) + bytes(8)
    sex = {"M": 1, "F": 2}.get(person.sex, 3)
    patient = (who + struct.pack("<B3H", sex, *birth)).ljust(500, b"\0") + _bytes(person.comment, 115)
    chunks = [
        (b"@HW_INFO_03", _bytes(model, 16) + _bytes("203040", 84)),
        (b"@PATIENT_INFO_02", patient),
        (b"@PARAM_SCAN_04", struct.pack("<12s5d9s", b"", *extents, 0.0, 0.0, b"\1\1")),
    ]
    if eye is not None:
        capture = struct.pack("<BBI100s6H", eye, 2, 0, _bytes(person.comment, 100), *day)
        chunks.append((b"@CAPTURE_INFO_02", capture))
    return chunks


def _topcon_file(kind: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(bytes([len(name)]) + name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"FOCT" + kind + struct.pack("<2I", 1, 1001) + body + b"\0"
