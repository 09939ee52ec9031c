"""A slice of a written volume as a small picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path


def middle_slice(path: Path) -> BytesIO:
    """The middle slice of a volume as PNG, depth downwards, on the scale of what it holds."""
    import nibabel
    import numpy as np
    from PIL import Image

    volume = nibabel.load(path)
    # Read in one go: access to a part of a compressed file goes through what stands before it anyway.
    pixels = np.asarray(volume.dataobj)[:, :, volume.shape[2] // 2].T.astype(np.float32)
    low, high = np.percentile(pixels, [0.5, 99.5])
    scaled = np.clip((pixels - low) / max(float(high - low), 1e-6), 0, 1) * 255
    buffer = BytesIO()
    Image.fromarray(scaled.astype(np.uint8)).save(buffer, format="PNG")
    buffer.seek(0)
    return buffer
