"""What the Heidelberg formats share: display intensities and the codes of scan patterns.

Heidelberg stores reflectivity as floats between 0 and 1, and the largest 32-bit float where the aligned scan has no
data. The display takes the fourth root, gray = 255 * reflectivity ** 0.25 (as LibOctData's reader of .vol files, LGPL,
does; eyepy approximates the same curve by a logarithm). E2E packs the same quantity into 16 bits without sign: 6 bits
exponent, 10 bits mantissa, exponent bias 63 (UOCTE's description). Zero is written where there is no data. UOCTE takes
the exponent 63 for "no data" too; in the one real B-scan at hand it is the brightest point of a bright reflex, so it
is read as what it says, 1.0, and only all bits set as "no data".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._refusal import RefusedError

DEVICE = "heidelberg spectralis"
CLIPPED = "intensities-clipped"
LATERALITY_UNKNOWN = "laterality-unknown"

PATTERNS = {1: "line", 2: "circle", 3: "raster", 4: "raster", 5: "radial"}
_LARGEST = 3e38
# Rounding of a writer, not a reflectivity.
_ROUNDING = 1e-3


def display(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], bool]:
    """Gray values of one B-scan.

    Args:
        values: reflectivity, 0..1; the largest float where there is none.

    Returns:
        The gray values, 0 where there is none, and whether values above 1 were cut off.

    Raises:
        RefusedError: not numbers, or negative.
    """
    absent = values >= _LARGEST
    known = np.where(absent, np.float32(0), values)
    if not np.all(np.isfinite(known)) or known.min() < -_ROUNDING:
        detail = "The file holds intensities that are negative or no numbers."
        raise RefusedError(reason="pixels-invalid", detail=detail, fix=EXPORT_AGAIN)
    clipped = bool(known.max() > 1 + _ROUNDING)
    return np.rint(255 * np.clip(known, 0, 1) ** np.float32(0.25)).astype(np.uint8), clipped


@lru_cache(maxsize=1)
def display_of_packed() -> npt.NDArray[np.uint8]:
    """Gray value of each of the 65,536 packed floats of E2E."""
    codes = np.arange(2**16)
    exponent, mantissa = codes >> 10, (codes & 1023) / 1024
    normal = np.ldexp(1 + mantissa, exponent - 63)
    reflectivity: npt.NDArray[Any] = np.where(exponent == 0, np.ldexp(mantissa, -62), normal)
    reflectivity[-1] = 0
    table = np.rint(255 * np.minimum(reflectivity, 1) ** 0.25).astype(np.uint8)
    table.flags.writeable = False
    return table
