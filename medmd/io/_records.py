"""What a reader gives, whatever the format: pixels or numbers, and the few facts that are used further on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Laterality: TypeAlias = Literal["R", "L"]
Region: TypeAlias = Literal["macula", "disc"]


class Spacing(NamedTuple):
    """Distances between voxels in mm, in the order of the array's axes; None where the file does not say."""

    between_slices: float | None
    depth: float | None
    along_scan: float | None


UNKNOWN_SPACING = Spacing(None, None, None)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Who was examined. Identifying: for pairing within a conversion only; never shown, logged or written.

    Args:
        identifier: the patient's number as the file gives it.
        birth_date: day of birth.
        age: years at the examination, where the file says so itself.
        sex: `F`, `M` or `O`.
    """

    identifier: str | None = field(default=None, repr=False)
    birth_date: date | None = field(default=None, repr=False)
    age: float | None = field(default=None, repr=False)
    sex: Literal["F", "M", "O"] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class _Record:
    """Facts that every record has.

    Args:
        source_format: name of the reader, such as `dicom-opt`.
        subject: whom it shows; see there.
        laterality: `R`, `L`, or None when the file does not say. Readers refuse a file that contradicts itself.
        acquired: day of the examination; for pairing only, never written.
        device: model of the device in lower case from a fixed list, such as `topcon triton`, or None. Never free text.
        warnings: codes of what was assumed or looks odd, such as `order-assumed`; fixed words of the reader's module.
    """

    source_format: str
    subject: Subject = field(default_factory=Subject)
    laterality: Laterality | None = None
    acquired: date | None = field(default=None, repr=False)
    device: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OctVolume(_Record):
    """An OCT volume in the order of the scan.

    Args:
        pixels: (slices, depth, along-scan), uint8 or uint16; the first slice and column as the format orders them.
        spacing: mm between voxels.
        region: what the scan is centred on, when known.
        scan_pattern: `raster`, `radial`, `circle`, `line`, or None.
        signal: the device's quality value as it gives it, with no common unit, or None.
        key: tells apart several volumes of one file, such as a stack; not identifying.
    """

    pixels: npt.NDArray[Any] = field(repr=False)
    spacing: Spacing = UNKNOWN_SPACING
    region: Region | None = None
    scan_pattern: str | None = None
    signal: float | None = None
    key: str = ""

    def __post_init__(self) -> None:
        _check_pixels(self.pixels, dims=3, types=(np.uint8, np.uint16))


@dataclass(frozen=True, kw_only=True)
class FundusPhoto(_Record):
    """A colour photograph of the fundus.

    Args:
        pixels: (rows, columns, 3), uint8, RGB.
        field_of_view: horizontal, in degrees, or None.
        region: what it is centred on, when known.
    """

    pixels: npt.NDArray[np.uint8] = field(repr=False)
    field_of_view: float | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        _check_pixels(self.pixels, dims=3, types=(np.uint8,))
        if self.pixels.shape[-1] != 3:
            msg = f"pixels: expected 3 channels, got {self.pixels.shape[-1]}"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class VisualField(_Record):
    """The result of a static perimetry.

    Args:
        md: mean deviation in dB, negative for loss, as a Humphrey perimeter gives it.
        psd: pattern standard deviation in dB, or None.
        vfi: visual field index, 0..100, or None.
        pattern: `24-2`, `24-2C`, `30-2`, `10-2`, `60-4` or None.
        strategy: `sita-standard`, `sita-fast`, `sita-faster`, `sita-swap`, `full-threshold` or None.
        fixation_losses: share 0..1, or None when not checked.
        false_positives: share 0..1, or None.
        false_negatives: share 0..1, or None.
    """

    md: float
    psd: float | None = None
    vfi: float | None = None
    pattern: str | None = None
    strategy: str | None = None
    fixation_losses: float | None = None
    false_positives: float | None = None
    false_negatives: float | None = None


Record: TypeAlias = OctVolume | FundusPhoto | VisualField


def _check_pixels(pixels: npt.NDArray[Any], *, dims: int, types: tuple[type, ...]) -> None:
    """A fault here is the reader's: it must refuse what it cannot bring into this form."""
    if pixels.ndim != dims or pixels.size == 0 or pixels.dtype.type not in types:
        names = " or ".join(kind.__name__ for kind in types)
        msg = f"pixels: expected {dims} axes of {names}, none empty, got {pixels.shape} {pixels.dtype}"
        raise ValueError(msg)
