"""What every DICOM examination says of the patient, the eye, the day and the device."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal

from pydicom.dataset import Dataset

from medmd.io._dicom_values import Code, codes, date_of, first, items, text, words
from medmd.io._records import Laterality, Region, Subject
from medmd.io._refusal import RefusedError

_SIDES: dict[str, str] = {
    "R": "R", "OD": "R", "RIGHT": "R", "L": "L", "OS": "L", "LEFT": "L", "B": "B", "OU": "B", "BOTH": "B",
}  # fmt: skip
# SNOMED CT codes and their older form.
_SIDE_CODES = {"24028007": "R", "G-A100": "R", "7771000": "L", "G-A101": "L", "51440002": "B", "G-A102": "B"}
_REGION_CODES: dict[str, Region] = {
    "111900": "macula",
    "67046006": "macula",
    "T-AA621": "macula",
    "82859000": "macula",
    "T-AA620": "macula",
    "111901": "disc",
    "81016008": "disc",
    "24010005": "disc",
    "T-AA630": "disc",
}
# Part of the manufacturer's name -> parts of the model's name and what we call it. The first that fits is taken.
_DEVICES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "topcon": (
        "topcon",
        (
            ("triton", "triton"), ("maestro", "maestro"), ("oct-1000", "3d oct-1000"), ("oct-2000", "3d oct-2000"),
            ("dri oct-1", "dri oct-1"), ("oct-1", "maestro"),
            ("nw400", "trc-nw400"), ("nw8", "trc-nw8"), ("trc-50", "trc-50"),
        ),
    ),
    "heidelberg": ("heidelberg", (("spectralis", "spectralis"), ("anterion", "anterion"))),
    "zeiss": (
        "zeiss",
        (
            ("cirrus", "cirrus"), ("plex", "plex elite"), ("visucam", "visucam"), ("clarus", "clarus"),
            ("hfa", "hfa"), ("humphrey", "hfa"),
        ),
    ),
    "humphrey": ("zeiss", (("hfa", "hfa"), ("humphrey", "hfa"))),
    "optovue": ("optovue", (("avanti", "avanti"), ("rtvue", "rtvue"), ("solix", "solix"), ("ivue", "ivue"))),
    "nidek": ("nidek", (("rs-3000", "rs-3000"), ("rs-330", "rs-330"), ("afc-", "afc"), ("mirante", "mirante"))),
    "canon": ("canon", (("hs100", "oct-hs100"), ("xephilio", "xephilio"), ("cr-2", "cr-2"), ("cx-1", "cx-1"))),
    "kowa": ("kowa", (("nonmyd", "nonmyd"), ("vx-", "vx"), ("ap-7000", "ap-7000"))),
    "optos": ("optos", (("california", "california"), ("daytona", "daytona"), ("silverstone", "silverstone"))),
    "haag": ("haag-streit", (("octopus", "octopus"),)),
    "interzeag": ("haag-streit", (("octopus", "octopus"),)),
    "octopus": ("haag-streit", (("octopus", "octopus"),)),
    "tomey": ("tomey", ()),
    "centervue": ("centervue", (("drs", "drs"), ("eidon", "eidon"), ("compass", "compass"))),
    "icare": ("centervue", (("drs", "drs"), ("eidon", "eidon"), ("compass", "compass"))),
}  # fmt: skip


def subject_of(header: Dataset) -> Subject:
    """Who was examined."""
    sex = text(header, "PatientSex")
    known: dict[str | None, Literal["F", "M", "O"]] = {"F": "F", "M": "M", "O": "O"}
    return Subject(
        identifier=text(header, "PatientID"),
        birth_date=date_of(header, "PatientBirthDate"),
        age=_years(text(header, "PatientAge")),
        sex=known.get(sex),
    )


def _years(age: str | None) -> float | None:
    units = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
    if age is None or len(age) != 4 or not (age[:3].isascii() and age[:3].isdigit()) or age[3] not in units:
        return None
    return int(age[:3]) * units[age[3]]


def acquired(header: Dataset) -> date | None:
    """Day of an image."""
    return date_of(header, "AcquisitionDateTime", "AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")


def device_of(header: Dataset) -> str | None:
    """Manufacturer and model from the fixed list, or the manufacturer alone, or None."""
    maker, model = ((text(header, keyword) or "").lower() for keyword in ("Manufacturer", "ManufacturerModelName"))
    for part, (name, models) in _DEVICES.items():
        if part in maker or (not maker and part in model):
            found = next((known for piece, known in models if piece in model), None)
            return f"{name} {found}" if found else name
    return None


def is_zeiss(header: Dataset) -> bool:
    """Whether Carl Zeiss Meditec made the device."""
    return (text(header, "Manufacturer") or "").lower().startswith("carl zeiss")


def laterality_of(header: Dataset, groups: Iterable[Dataset] = ()) -> Laterality | None:
    """The eye by every place that names one.

    Args:
        header: of the file.
        groups: its shared and per-frame functional groups.

    Raises:
        RefusedError: places disagree, or both eyes are meant.
    """
    found = {
        _SIDES.get(word)
        for keyword in ("ImageLaterality", "Laterality", "MeasurementLaterality")
        for word in words(header, keyword)
    }
    found |= _modifiers(header)
    for group in groups:
        for anatomy in items(group, "FrameAnatomySequence"):
            found |= {_SIDES.get(word) for word in words(anatomy, "FrameLaterality")} | _modifiers(anatomy)
    found.discard(None)
    if "B" in found:
        detail = "The file says that it shows both eyes."
        raise RefusedError(reason="laterality-both", detail=detail, fix="Export an examination of one eye.")
    if len(found) > 1:
        detail = "The file says right in one place and left in another."
        raise RefusedError(
            reason="laterality-contradicts", detail=detail, fix="Correct the eye at the device and export again."
        )
    sides: dict[str | None, Laterality] = {"R": "R", "L": "L"}
    return sides.get(next(iter(found), None))


def _modifiers(dataset: Dataset) -> set[str | None]:
    region = first(dataset, "AnatomicRegionSequence")
    return {_SIDE_CODES.get(code.value) for code in codes(region, "AnatomicRegionModifierSequence")}


def region_of(header: Dataset, groups: Iterable[Dataset] = ()) -> Region | None:
    """What the image is centred on; None when not said, or when it is both or neither.

    The position of the image goes before the anatomic region, which often names the retina as a whole.
    """
    places: list[list[Code]] = [
        codes(header, "RelativeImagePositionCodeSequence"),
        codes(header, "AnatomicRegionSequence") + codes(header, "PrimaryAnatomicStructureSequence"),
        [
            code
            for group in groups
            for anatomy in items(group, "FrameAnatomySequence")
            for code in codes(anatomy, "AnatomicRegionSequence")
        ],
    ]
    for place in places:
        found = {_REGION_CODES[code.value] for code in place if code.value in _REGION_CODES}
        if found:
            return next(iter(found)) if len(found) == 1 else None
    return None


def refuse_burned_in(header: Dataset) -> None:
    """Refuse an image that says that it has text in its pixels.

    Raises:
        RefusedError: as said.
    """
    if "YES" in words(header, "BurnedInAnnotation"):
        detail = "The file says that text is burned into its pixels."
        raise RefusedError(
            reason="burned-in", detail=detail, fix="Export the original image, without a report's annotations."
        )
