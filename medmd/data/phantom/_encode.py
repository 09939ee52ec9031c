"""Images as bytes that depend on their content alone."""

from __future__ import annotations

import gzip
import io

import numpy as np
import numpy.typing as npt


def nifti_bytes(volume: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> bytes:
    """A compressed NIfTI with a diagonal affine in mm and no clock time in its gzip header."""
    import nibabel

    affine = np.diag([*spacing_mm, 1.0])
    image = nibabel.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    return gzip.compress(image.to_bytes(), compresslevel=4, mtime=0)


def png_bytes(photograph: npt.NDArray[np.uint8]) -> bytes:
    """An RGB PNG without metadata."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(photograph).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()
