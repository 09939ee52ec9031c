"""A slice of a written volume as a small picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any


def middle_slice(path: Path) -> BytesIO:
    """The middle slice of a volume as PNG, depth downwards, on the scale of what it holds.

    Args:
        path: a file of `data_prep._volumes.write_volume`.
    """
    import numpy as np
    from PIL import Image

    pixels = _read_middle(path).astype(np.float32)
    low, high = np.percentile(pixels, [0.5, 99.5])
    scaled = np.clip((pixels - low) / max(float(high - low), 1e-6), 0, 1) * 255
    buffer = BytesIO()
    Image.fromarray(scaled.astype(np.uint8)).save(buffer, format="PNG")
    buffer.seek(0)
    return buffer


def _read_middle(path: Path) -> Any:
    """The slice as (depth, along-scan), by decompressing what stands before it and no more."""
    import nibabel
    import numpy as np
    from isal import igzip

    voxels: Any = nibabel.load(path).dataobj
    along, depth, slices = voxels.shape
    dtype = voxels.dtype
    size = along * depth * dtype.itemsize
    with igzip.open(path, "rb") as file:
        file.seek(voxels.offset + slices // 2 * size)
        return np.frombuffer(file.read(size), dtype=dtype).reshape(depth, along)
