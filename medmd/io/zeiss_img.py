"""Zeiss Cirrus research export (.img): a raw cube of bytes whose name says all that is known of it.

There is no signature. A path is recognised by its name, bytes alone are not:

    P<id>_Macular Cube 512x128_<month-day-year>_<hour-minute-second>_OD_sn<number>_cube_z.img

Published readers (LibOctData, retimat, oct-preprocess-cirrus) agree that the frames are stored upside down and
mirrored, the first two also that the last frame comes first; no real file was at hand to check it, hence the warning
`orientation-assumed`. Distances are those of the scan's nominal 6 x 6 x 2 mm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from medmd.io._binary import EXPORT_AGAIN, binary_file, day
from medmd.io._limits import MAX_VOXELS, check_size
from medmd.io._records import Laterality, OctVolume, Region, Spacing, Subject
from medmd.io._refusal import RefusedError
from medmd.io._source import Source

_NAME = re.compile(
    r"P?(?P<patient>.*)_(?P<scan>Macular|Optic Disc) Cube (?P<along>\d{1,4})x(?P<slices>\d{1,4})"
    r"_(?P<month>\d{1,2})-(?P<day>\d{1,2})-(?P<year>\d{4})_\d{1,2}-\d{1,2}-\d{1,2}"
    r"_(?P<side>OD|OS)_sn\w*_cube_(?:z|raw)\.img",
    re.IGNORECASE,
)
_DEPTH = 1024
_EXTENT_MM, _DEPTH_MM = 6.0, 2.0
_SIDES: dict[str, Laterality] = {"OD": "R", "OS": "L"}
_REGIONS: dict[str, Region] = {"macular": "macula", "optic disc": "disc"}


def matches(head: bytes, source: Source) -> bool:
    """By the name of the file."""
    return _name(source) is not None


def read_all(source: Source) -> Iterable[OctVolume]:
    """The one cube of the file."""
    name = _name(source)
    if name is None:
        detail = "A raw cube can be read only under the name that the device gave it."
        raise RefusedError(reason="name-unknown", detail=detail, fix="Give the file back its original name.")
    shape = (int(name["slices"]), _DEPTH, int(name["along"]))
    with binary_file(source) as file:
        voxels = check_size(shape, most=MAX_VOXELS, available_bytes=file.size)
        if voxels != file.size:
            detail = f"The name of the file promises {voxels} bytes; it has {file.size}."
            raise RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)
        stored = np.frombuffer(file.take(voxels), np.uint8).reshape(shape)
    return [
        OctVolume(
            source_format="zeiss-img",
            subject=Subject(identifier=name["patient"] or None),
            laterality=_SIDES[name["side"].upper()],
            acquired=day(int(name["year"]), int(name["month"]), int(name["day"])),
            device="zeiss cirrus",
            warnings=("orientation-assumed", "spacing-nominal"),
            pixels=np.ascontiguousarray(stored[::-1, ::-1, ::-1]),
            spacing=Spacing(_EXTENT_MM / shape[0], _DEPTH_MM / shape[1], _EXTENT_MM / shape[2]),
            region=_REGIONS[name["scan"].lower()],
            scan_pattern="raster",
        )
    ]


def _name(source: Source) -> re.Match[str] | None:
    return None if isinstance(source, bytes) else _NAME.fullmatch(Path(source).name)
