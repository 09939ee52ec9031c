"""Heidelberg XML export (HEYEX): one XML that describes series, and an image file a B-scan beside it.

Read here without a library: eyepy asks for an infrared image, takes the laterality `L` for whatever is not `R` and the
XML's word for which file to open. Slices stand in the order of their numbers. The distance between slices is not
written: it comes from the coordinates of the B-scans' ends, and is unknown when these are not evenly apart.

The images' names are Windows paths of the exporting machine: only the last part counts, and only a file in the folder
of the XML is opened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN, day, millimetres
from medmd.io._heidelberg import DEVICE, LATERALITY_UNKNOWN
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._pillow import opened_image, pixels_of
from medmd.io._records import Laterality, OctVolume, Spacing, Subject
from medmd.io._refusal import RefusedError
from medmd.io._source import Source, size
from medmd.io._tiff import check_pieces
from medmd.io._xml import number_of, parse_xml, root_name, text_of

_ROOT = "HEDX"
_FORMATS = ("TIFF", "PNG", "BMP", "JPEG")
_CONTEXT = "OphthalmicAcquisitionContext"
_UNEVEN = "spacing-uneven"
_TOLERANCE = 0.05
_PATTERNS = {"volume": "raster", "star": "radial", "radial": "radial", "circle": "circle", "single": "line"}
_SIDES: dict[str, Laterality] = {"R": "R", "L": "L", "OD": "R", "OS": "L"}


def matches(head: bytes, source: Source) -> bool:
    """By the name of the root element."""
    return root_name(head) == _ROOT


def read_all(source: Source) -> Iterable[OctVolume]:
    """Every series that has B-scans."""
    if isinstance(source, bytes):
        detail = "The B-scans of this export are files beside the XML, which its bytes alone do not lead to."
        raise RefusedError(reason="needs-folder", detail=detail, fix="Give the path of the XML within its export.")
    patient = parse_xml(source).find("BODY/Patient")
    records = [
        _volume(series, slices, study, patient, Path(source).parent, f"series-{number}")
        for number, (study, series, slices) in enumerate(_with_slices(patient))
    ]
    if not records:
        detail = "The export describes no OCT B-scans."
        raise RefusedError(reason="no-volume", detail=detail, fix="Export the OCT volume, not only its images.")
    return records


def _with_slices(patient: Element | None) -> Iterable[tuple[Element, Element, list[Element]]]:
    for study in patient.findall("Study") if patient is not None else ():
        for series in study.findall("Series"):
            slices = [image for image in series.findall("Image") if text_of(image, "ImageType/Type") == "OCT"]
            if slices:
                yield study, series, slices


def _volume(
    series: Element, slices: list[Element], study: Element, patient: Element | None, folder: Path, key: str
) -> OctVolume:
    images, warnings = _ordered(slices)
    side = _side([series, *images])
    pattern = _PATTERNS.get((text_of(series, "Type") or "").lower())
    spacing, uneven = _spacing(images, parallel=pattern in ("raster", None))
    qualities = [value for image in images if (value := number_of(image, f"{_CONTEXT}/ImageQuality")) is not None]
    warnings += [LATERALITY_UNKNOWN] * (side is None) + [_UNEVEN] * uneven
    return OctVolume(
        source_format="heidelberg-xml",
        subject=_subject(patient),
        laterality=side,
        acquired=_day(study, "StudyDate"),
        device=DEVICE if text_of(series, "GeneralEquipment/ManufacturerModelName") in (None, "Spectralis") else None,
        warnings=tuple(warnings),
        pixels=_pixels(images, folder),
        spacing=spacing,
        scan_pattern=pattern,
        signal=round(sum(qualities) / len(qualities), 3) if qualities else None,
        key=key,
    )


def _ordered(slices: list[Element]) -> tuple[list[Element], list[str]]:
    numbers = [number_of(image, "ImageNumber") for image in slices]
    if None in numbers:
        return slices, ["order-assumed"]
    if len(set(numbers)) < len(numbers):
        detail = "Two B-scans of a series have the same number."
        raise RefusedError(reason="slices-repeated", detail=detail, fix=EXPORT_AGAIN)
    return [slices[place] for place in np.argsort(np.asarray(numbers, float), kind="stable")], []


def _side(elements: list[Element]) -> Laterality | None:
    sides = {_SIDES.get((text_of(element, "Laterality") or "").upper()) for element in elements} - {None}
    if len(sides) > 1:
        detail = "The export names both eyes for one series."
        raise RefusedError(reason="laterality-contradicts", detail=detail, fix=EXPORT_AGAIN)
    return next(iter(sides), None)


def _spacing(images: list[Element], *, parallel: bool) -> tuple[Spacing, bool]:
    """Distances, and whether the B-scans lie unevenly."""
    depth, along = (_same(images, f"{_CONTEXT}/{name}") for name in ("ScaleY", "ScaleX"))
    between, uneven = _between(images) if parallel else (None, False)
    return Spacing(millimetres(between), millimetres(depth), millimetres(along)), uneven


def _same(images: list[Element], path: str) -> float | None:
    values = [number_of(image, path) for image in images]
    first = values[0]
    if first is None or any(value is None or abs(value - first) > _TOLERANCE * abs(first) for value in values):
        return None
    return first


def _between(images: list[Element]) -> tuple[float | None, bool]:
    ends = [
        [number_of(image, f"{_CONTEXT}/{end}/Coord/{axis}") for end in ("Start", "End") for axis in ("X", "Y")]
        for image in images
    ]
    known = [[float(value) for value in four if value is not None] for four in ends]
    if len(known) < 2 or any(len(four) < 4 for four in known):
        return None, False
    steps = [math.dist(a[at : at + 2], b[at : at + 2]) for a, b in pairwise(known) for at in (0, 2)]
    mean = sum(steps) / len(steps)
    uneven = any(abs(step - mean) > _TOLERANCE * mean for step in steps)
    return (None if uneven else mean), uneven


def _pixels(images: list[Element], folder: Path) -> npt.NDArray[np.uint8]:
    sizes = {(number_of(image, f"{_CONTEXT}/Height"), number_of(image, f"{_CONTEXT}/Width")) for image in images}
    rows, columns = next(iter(sizes))
    if len(sizes) > 1 or rows is None or columns is None:
        detail = "The sizes of the B-scans are absent, or differ."
        raise RefusedError(reason="slices-differ", detail=detail, fix=EXPORT_AGAIN)
    shape = (len(images), int(rows), int(columns))
    check_size(shape, most=MAX_VOXELS)
    paths = [_beside(folder, text_of(image, "ImageData/ExamURL")) for image in images]
    if len(set(paths)) < len(paths):
        detail = "Two B-scans of a series name the same file."
        raise RefusedError(reason="slices-repeated", detail=detail, fix=EXPORT_AGAIN)
    pixels = np.empty(shape, np.uint8)
    for number, path in enumerate(paths):
        pixels[number] = _slice(path, shape[1:])
    return pixels


def _beside(folder: Path, url: str | None) -> Path:
    """The file that an image's address means: its last part, in the folder of the XML, no link out of it."""
    parts = re.split(r"[\\/]+", (url or "").removeprefix("file:"))
    name = parts[-1]
    if ".." in parts or name in ("", ".") or re.search(r'[\0-\x1f:*?"<>|]', name):
        detail = "An image's address in the export does not name a file beside the XML."
        raise RefusedError(reason="path-escapes", detail=detail, fix=EXPORT_AGAIN)
    path = folder / name
    if not path.is_file():
        detail = "An image that the XML names is not beside it."
        raise RefusedError(reason="images-missing", detail=detail, fix="Copy the whole folder of the export.")
    if path.resolve().parent != folder.resolve():
        detail = "An image beside the XML is a link to another folder."
        raise RefusedError(reason="path-escapes", detail=detail, fix="Copy the files themselves.")
    return path


def _slice(path: Path, expected: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    with opened_image(path, _FORMATS, held=size(path)) as image:
        if (image.height, image.width) != expected:
            detail = f"A B-scan has {image.height} x {image.width} pixels where {expected} are declared."
            raise RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)
        check_pieces(image)
        pixels = pixels_of(image)
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            detail = "A B-scan is coloured: something was drawn into it."
            raise RefusedError(reason="colour-model", detail=detail, fix="Export without overlays.")
        pixels = pixels[..., 0]
    if pixels.dtype != np.uint8:
        detail = "A B-scan has more than 8 bits a pixel."
        raise RefusedError(reason="pixel-format", detail=detail, fix=EXPORT_AGAIN)
    return pixels


def _subject(patient: Element | None) -> Subject:
    letter = (text_of(patient, "Sex") or "").upper()[:1]
    return Subject(
        identifier=text_of(patient, "PatientID"),
        birth_date=_day(patient, "Birthdate"),
        sex=letter if letter in ("F", "M", "O") else None,  # type: ignore[arg-type]
    )


def _day(element: Element | None, path: str) -> date | None:
    parts = [number_of(element, f"{path}/Date/{part}") for part in ("Year", "Month", "Day")]
    return day(*(int(part) for part in parts if part is not None)) if None not in parts else None
