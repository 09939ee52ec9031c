"""OCT volumes: Ophthalmic Tomography Image objects.

Warnings of these records: `order-assumed` (neither stacks nor positions: frames as stored), `slice-distance-assumed`
(from slice spacing or thickness, not from positions), `blank-frames` (slices of one grey value among others).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._dicom_decode import Shape
from medmd.io._dicom_facts import acquired, device_of, laterality_of, refuse_burned_in, region_of, subject_of
from medmd.io._dicom_file import DicomFile
from medmd.io._dicom_geometry import Stack, frame_of, slice_distance, stacks
from medmd.io._dicom_pixels import frame_count, frames, full_range, shape_of
from medmd.io._dicom_values import codes, first, integer, items, numbers
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._records import OctVolume
from medmd.io._refusal import RefusedError

# Sixteen times the slices of the largest volume that scanners are known to make.
MAX_FRAMES = 2**14

Pixels: TypeAlias = npt.NDArray[Any]

# Scans whose slices are parallel, scans whose slices are not, and scans that are no volume.
_PATTERNS = {
    "128279": "raster",
    "128280": "raster",
    "128281": "line",
    "128282": "radial",
    "128284": "circle",
    "128285": "circle",
    "128286": "circle",
    "128287": "radial",
}
_CROSSING = ("128282", "128283", "128284", "128285", "128286", "128287", "128288")


def read_volumes(file: DicomFile) -> list[OctVolume]:
    """Every stack of the object as a volume.

    Samples of which not all bits are stored are scaled by a power of two, so that the greatest value of the array's
    type is white.

    Raises:
        RefusedError: see `_dicom_geometry`, `_dicom_pixels` and `_dicom_facts`; not MONOCHROME2; part of a
            concatenation; or every pixel is one grey value.
    """
    header = file.header
    refuse_burned_in(header)
    shape = shape_of(header)
    _check(header, shape)
    count = frame_count(header)
    check_size((count, shape.rows, shape.columns), most=MAX_VOXELS)
    check_size((count,), most=MAX_FRAMES)
    groups = items(header, "PerFrameFunctionalGroupsSequence")
    shared = first(header, "SharedFunctionalGroupsSequence")
    if groups and len(groups) != count:
        detail = f"The file declares {count} frames and describes {len(groups)}."
        raise RefusedError(reason="frame-count", detail=detail, fix=EXPORT_AGAIN)
    every = [*([] if shared is None else [shared]), *groups]
    pattern = next((code.value for code in codes(header, "ScanPatternTypeCodeSequence")), "")
    found = _stacks(header, shared, groups, count, flat=pattern not in _CROSSING)
    facts: dict[str, Any] = {
        "source_format": "dicom-opt",
        "subject": subject_of(header),
        "laterality": laterality_of(header, every),
        "acquired": acquired(header),
        "device": device_of(header),
        "region": region_of(header, every),
        "scan_pattern": _PATTERNS.get(pattern),
    }
    volumes, blank = _fill(file, shape, found)
    return [
        OctVolume(
            pixels=pixels,
            spacing=stack.spacing,
            key="" if len(found) == 1 else f"stack-{number}",
            warnings=(*stack.warnings, *(("blank-frames",) if empty else ())),
            **facts,
        )
        for number, (stack, pixels, empty) in enumerate(zip(found, volumes, blank, strict=True), start=1)
    ]


def _check(header: Dataset, shape: Shape) -> None:
    if shape.samples != 1 or shape.photometric != "MONOCHROME2":
        detail = "The slices are not plain grey values (MONOCHROME2)."
        raise RefusedError(reason="photometric", detail=detail, fix="Export the original B-scans, not a coloured view.")
    if (integer(header, "InConcatenationTotalNumber") or 1) > 1:
        detail = "The file is one part of a volume that was split over several."
        raise RefusedError(reason="concatenation", detail=detail, fix="Export the volume as one object.")


def _stacks(
    header: Dataset, shared: Dataset | None, groups: Sequence[Dataset], count: int, *, flat: bool
) -> list[Stack]:
    described = [frame_of(group, shared) for group in groups] or [frame_of(None, shared)] * count
    spacing = numbers(header, "PixelSpacing")
    return stacks(
        described,
        fallback=slice_distance(header, [shared, *groups[:1]]),
        in_plane=(spacing[0], spacing[1]) if len(spacing) == 2 else None,
        flat=flat,
    )


def _fill(file: DicomFile, shape: Shape, found: Sequence[Stack]) -> tuple[list[Pixels], list[bool]]:
    kind: type = np.uint8 if shape.bits_stored == 8 else np.uint16
    place = {frame: (stack, rank) for stack, one in enumerate(found) for rank, frame in enumerate(one.frames)}
    volumes: list[Pixels] = []
    lows, highs = np.zeros(len(place)), np.zeros(len(place))
    for number, pixels in enumerate(frames(file, shape, most=MAX_VOXELS)):
        if not volumes:
            # The first frame is decoded: the file has more than a claim of its size.
            volumes = [np.empty((len(one.frames), shape.rows, shape.columns), kind) for one in found]
        stack, rank = place[number]
        volumes[stack][rank] = full_range(pixels, shape)
        lows[number], highs[number] = pixels.min(), pixels.max()
    if lows.min() == highs.max():
        raise RefusedError(reason="blank", detail="Every pixel has the same value.", fix=EXPORT_AGAIN)
    blank = lows == highs
    return volumes, [bool(blank[one.frames].any()) for one in found]
