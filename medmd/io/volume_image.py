"""Volumes of research software: MetaImage (.mha), NRRD and NIfTI (.nii, .nii.gz).

MetaImage and NRRD are read here, NIfTI's header by nibabel: SimpleITK reads files only, not bytes, allocates what a
header declares, follows headers to other files and prints warnings of its own (it serves the tests as an independent
reader). Headers whose pixels are in another file (.mhd, .nhdr, NIfTI pairs) are refused.

Axes: the file's first axis (the fastest) is along the scan, the second depth, the third counts slices, as this project
and MONAI write OCT volumes; a file of two axes is one slice. Directions in space are not applied: the stored order
counts, and a direction that is no identity gives the warning `direction-ignored`. Distances of exactly 1 on all axes
are what software writes that knows none, and are taken as unknown (`spacing-default`).

Intensities: 8 bits and unsigned 16 bits stay as they are, signed integers without negative values become unsigned 16
bits; all others are mapped linearly from their least and greatest value to 0..65535 (`intensities-rescaled`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN, millimetres
from medmd.io._records import OctVolume, Spacing
from medmd.io._refusal import RefusedError
from medmd.io._source import Source, head
from medmd.io._volume_header import Declared
from medmd.io._volume_meta import is_meta, read_meta
from medmd.io._volume_nifti import is_nifti, read_nifti
from medmd.io._volume_nrrd import is_nrrd, read_nrrd


def matches(start: bytes, source: Source) -> bool:
    """By the signatures of the three formats."""
    return is_nrrd(start) or is_meta(start) or is_nifti(start)


def read_all(source: Source) -> Iterable[OctVolume]:
    """The one volume of the file."""
    start = head(source)
    reader = read_nrrd if is_nrrd(start) else read_meta if is_meta(start) else read_nifti
    declared, stored = reader(source)
    pixels, rescaled = _unsigned(stored, declared)
    spacing, unknown = _spacing(declared)
    warnings = ["intensities-rescaled"] * rescaled + ["direction-ignored"] * declared.turned
    return [
        OctVolume(
            source_format="volume-image",
            pixels=pixels,
            spacing=spacing,
            warnings=tuple(warnings + ["spacing-default"] * unknown),
        )
    ]


def _spacing(declared: Declared) -> tuple[Spacing, bool]:
    along, depth, between = (*declared.spacing, None, None, None)[:3]
    if all(value == 1 for value in declared.spacing):
        return Spacing(None, None, None), True
    one_slice = len(declared.shape) < 3
    return Spacing(None if one_slice else millimetres(between), millimetres(depth), millimetres(along)), False


def _unsigned(stored: npt.NDArray[Any], declared: Declared) -> tuple[npt.NDArray[Any], bool]:
    """(slices, depth, along-scan) as uint8 or uint16, and whether they were rescaled."""
    volume = stored.reshape((1,) * (3 - len(declared.shape)) + declared.shape[::-1])
    if declared.slope == 1 and declared.offset == 0:
        if volume.dtype.kind == "u" and volume.dtype.itemsize <= 2:
            return volume.astype(volume.dtype.newbyteorder("="), copy=True), False
        if volume.dtype.kind == "i" and volume.dtype.itemsize <= 2 and volume.min() >= 0:
            return volume.astype(np.uint16), False
    return _rescaled(volume, declared), True


def _rescaled(volume: npt.NDArray[Any], declared: Declared) -> npt.NDArray[np.uint16]:
    # Slice by slice: floats of the whole volume would take eight times its room. The least of numbers and NaN is NaN.
    ends = np.array([(one.min(), one.max()) for one in volume], np.float64)
    least, most = float(ends.min()), float(ends.max())
    if not np.isfinite([least, most]).all():
        detail = "The volume holds values that are no numbers, or infinite."
        raise RefusedError(reason="pixels-invalid", detail=detail, fix=EXPORT_AGAIN)
    if declared.slope < 0:
        least, most = most, least
    pixels = np.zeros(volume.shape, np.uint16)
    if least != most:
        for number, one in enumerate(volume):
            pixels[number] = np.rint((one.astype(np.float64) - least) / (most - least) * 65535)
    return pixels
