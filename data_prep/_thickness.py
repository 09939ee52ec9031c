"""Maps of the retinal nerve fibre layer's thickness as 16-bit grey PNG, which `LoadPhotographd` reads.

The code of a pixel:

| pixel | meaning |
|---|---|
| 0 | no measurement: NaN, infinite, a negative number of no meaning, or beyond the scale |
| 1 | -2 in the release: no measurement, within the optic cup |
| 2 | -1 in the release: no measurement, within the optic disc |
| 3 + n | n hundredths of a micrometre, up to 655.32 |

A thickness comes back to within 0.005 micrometres; the depth pixel of the scanners is about 2. Eight bits would not do:
they would round to 1.4 micrometres or cut what is thick.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.utils import sha256_bytes, write_atomic

# Part of a file's origin in the journal: raise it when the pixels or bytes that are written change.
RECIPE = "png-thickness-1"
CUP, DISC = -2.0, -1.0
STEP_UM = 0.01
FIRST = 3
THICKEST_UM = (2**16 - 1 - FIRST) * STEP_UM
CODE = (
    "16-bit grey: 0 no measurement, 1 within the optic cup (-2 in the release), 2 within the disc (-1), from 3 on the "
    "thickness in micrometres times 100, plus 3"
)
_SHOWN_UM = 250.0

Pixels = npt.NDArray[np.uint16]


def encode(thickness: npt.NDArray[Any]) -> Pixels:
    """Code a map of micrometres.

    Args:
        thickness: (rows, columns); -1, -2, NaN and whatever else is no thickness becomes a code below 3.
    """
    values = np.asarray(thickness, dtype=np.float64)
    # A comparison with NaN is false: what is not measured, cup or disc stays 0.
    measured = (values >= 0) & (values <= THICKEST_UM)
    pixels = np.zeros(values.shape, dtype=np.uint16)
    pixels[values == CUP], pixels[values == DISC] = 1, 2
    pixels[measured] = np.rint(values[measured] / STEP_UM).astype(np.uint16) + FIRST
    return pixels


def count(pixels: Pixels) -> dict[str, int]:
    """How many pixels are `measured`, `cup`, `disc` and `invalid`."""
    first = np.bincount(np.minimum(pixels, FIRST).ravel(), minlength=FIRST + 1)
    return {name: int(first[code]) for name, code in (("measured", FIRST), ("cup", 1), ("disc", 2), ("invalid", 0))}


def decode(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Micrometres from pixels; NaN where there is no measurement, -1 and -2 as in the release."""
    values = (np.asarray(pixels, dtype=np.float64) - FIRST) * STEP_UM
    for code, meaning in ((0, np.nan), (1, CUP), (2, DISC)):
        values[np.asarray(pixels) == code] = meaning
    return values


def write_map(path: Path, pixels: Pixels) -> str:
    """Write a map as PNG, atomically, without any text.

    Returns:
        SHA-256 of the file; equal maps give equal files.
    """
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=6)
    write_atomic(path, buffer.getvalue())
    return sha256_bytes(buffer.getvalue())


def read_map(path: Path) -> Pixels:
    """The pixels of a written map."""
    from PIL import Image

    with Image.open(path) as file:
        return np.asarray(file).astype(np.uint16)


def as_grey(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """For the eye: 0 to 250 micrometres in 8 bits, black where there is no measurement."""
    thickness = np.nan_to_num(decode(pixels)).clip(0, _SHOWN_UM)
    return (thickness / _SHOWN_UM * 255).astype(np.uint8)
