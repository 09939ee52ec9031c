"""Colour photographs of the fundus: Ophthalmic Photography 8 and 16 Bit Image objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._dicom_facts import acquired, device_of, laterality_of, refuse_burned_in, region_of, subject_of
from medmd.io._dicom_file import DicomFile
from medmd.io._dicom_pixels import frame_count, frames, full_range, shape_of
from medmd.io._dicom_values import codes, items, number, text, words
from medmd.io._limits import MAX_PHOTO_PIXELS
from medmd.io._records import FundusPhoto
from medmd.io._refusal import RefusedError

# Degrees; colour photographs of the posterior pole have 30 to 60.
WIDEST_FIELD = 60.0
_WIDE_MAKERS = ("optos",)
_WIDE_MODELS = ("clarus", "california", "daytona", "silverstone", "mirante", "rg-retcam", "icon")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# Channel or filter, in SNOMED CT and its older form -> reason.
_CHANNELS = {
    "405739002": "red-free", "G-A132": "red-free", "445465004": "red-free", "A-010E2": "red-free",
    "371246006": "red-free", "G-A11E": "red-free", "414497003": "infrared", "R-102BE": "infrared",
    "445169002": "infrared", "A-010DC": "infrared", "445084008": "autofluorescence", "A-010DA": "autofluorescence",
}  # fmt: skip
# A word of Image Type -> reason.
_TYPES = {
    "RED FREE": "red-free", "REDFREE": "red-free", "RED_FREE": "red-free", "RED-FREE": "red-free", "RF": "red-free",
    "IR": "infrared", "INFRARED": "infrared", "AF": "autofluorescence", "FAF": "autofluorescence",
    "AUTOFLUORESCENCE": "autofluorescence", "FA": "angiography", "FLUORESCEIN": "angiography",
    "ICG": "angiography", "ICGA": "angiography", "ANGIO": "angiography",
}  # fmt: skip
_WORDS = {
    "red-free": "a red-free photograph",
    "infrared": "an infrared image",
    "autofluorescence": "an autofluorescence image",
    "angiography": "a frame of an angiography",
}


def read_photograph(file: DicomFile) -> FundusPhoto:
    """The photograph, in RGB; 16-bit samples are scaled to 8.

    Raises:
        RefusedError: see `_dicom_pixels` and `_dicom_facts`; not a colour photograph, several frames, a field of view
            above 60 degrees, or every pixel has one value.
    """
    header = file.header
    refuse_burned_in(header)
    shape = shape_of(header)
    _refuse_other_kinds(header)
    if shape.samples != 3 or shape.photometric not in _COLOURS:
        raise _not_colour(has_channels=False)
    _refuse_wide(header)
    if frame_count(header) != 1:
        detail = f"The object holds {frame_count(header)} photographs."
        raise RefusedError(reason="several-frames", detail=detail, fix="Export each photograph as one object.")
    pixels = next(iter(frames(file, shape, most=MAX_PHOTO_PIXELS)))
    if shape.bits_allocated == 16:
        pixels = full_range(pixels, shape) >> (0 if shape.bits_stored == 8 else 8)
    pixels = np.array(pixels, dtype=np.uint8)
    _check_colours(pixels)
    return FundusPhoto(
        pixels=pixels,
        source_format="dicom-op",
        subject=subject_of(header),
        laterality=laterality_of(header),
        acquired=acquired(header),
        device=device_of(header),
        field_of_view=_field_of_view(header),
        region=region_of(header),
    )


def _refuse_other_kinds(header: Dataset) -> None:
    reason = next((_TYPES[word] for word in words(header, "ImageType")[2:] if word in _TYPES), None)
    if items(header, "ContrastBolusAgentSequence"):
        reason = "angiography"
    for keyword in ("ChannelDescription", "LightPathFilterTypeStack", "ImagePathFilterTypeStack"):
        found = codes(header, f"{keyword}CodeSequence")
        # Three channels, of which one is green, are a colour photograph.
        if reason is None and len(found) == 1:
            reason = _CHANNELS.get(found[0].value)
    if reason is not None:
        detail = f"The object is {_WORDS[reason]}."
        raise RefusedError(reason=reason, detail=detail, fix="Export the colour photograph of the same visit.")


def _field_of_view(header: Dataset) -> float | None:
    fields = [number(header, keyword) for keyword in ("HorizontalFieldOfView", "CameraAngleOfView", "OphthalmicFOV")]
    known = [field for field in fields if field is not None and 0 < field <= 360]
    return max(known) if known else None


def _refuse_wide(header: Dataset) -> None:
    field = _field_of_view(header)
    maker, model = ((text(header, keyword) or "").lower() for keyword in ("Manufacturer", "ManufacturerModelName"))
    wide_device = any(part in maker for part in _WIDE_MAKERS) or (
        field is None and any(part in model for part in _WIDE_MODELS)
    )
    if wide_device or (field is not None and field > WIDEST_FIELD):
        raise wide_field()


def wide_field() -> RefusedError:
    """Why a wide-field image is not used."""
    detail = f"The image shows more than {WIDEST_FIELD:g} degrees, and in other colours than a fundus camera's."
    return RefusedError(
        reason="wide-field", detail=detail, fix="Export a colour photograph of 30 to 60 degrees of the same visit."
    )


def _check_colours(pixels: npt.NDArray[Any]) -> None:
    if pixels.min() == pixels.max():
        raise RefusedError(reason="blank", detail="Every pixel has the same value.", fix=EXPORT_AGAIN)
    # Any row decides for nearly every photograph.
    middle = pixels[len(pixels) // 2]
    if _is_grey(middle) and _is_grey(pixels):
        raise _not_colour(has_channels=True)


def _is_grey(pixels: npt.NDArray[Any]) -> bool:
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


def _not_colour(*, has_channels: bool) -> RefusedError:
    detail = (
        "The three channels of the photograph are equal." if has_channels else "The photograph has no three channels."
    )
    return RefusedError(reason="not-colour", detail=detail, fix="Export the colour photograph of the same visit.")
