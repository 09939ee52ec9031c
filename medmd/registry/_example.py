"""An input example that shows the form of a request and holds nobody's eye."""

from __future__ import annotations

import io
from typing import Any

import nibabel
import numpy as np
import pandas as pd
from PIL import Image

_SHAPES = {"volume": (32, 64, 16), "image": (96, 96, 3)}


def input_example(inputs: dict[str, str], vector_lengths: dict[str, int]) -> pd.DataFrame:
    """One row with synthetic files: a bright band as volume, a bright disc as photograph, zeros as vector.

    Args:
        inputs: kind by modality.
        vector_lengths: numbers of each modality of kind `vector`.
    """
    row: dict[str, Any] = {"case_id": "example", "laterality": "R"}
    for name, kind in inputs.items():
        row[name] = [0.0] * vector_lengths[name] if kind == "vector" else _file(kind)
    return pd.DataFrame([row])


def _file(kind: str) -> bytes:
    if kind == "volume":
        volume = np.zeros(_SHAPES[kind], np.uint8)
        # Graded, so that no crop of it is constant.
        volume[:, 24:40] = np.linspace(80, 200, 16).astype(np.uint8)[:, None]
        return bytes(nibabel.Nifti1Image(volume, np.diag([0.1, 0.02, 0.2, 1.0])).to_bytes())
    rows, columns, _ = _SHAPES[kind]
    y, x = np.mgrid[:rows, :columns] - np.array([rows / 2, columns / 2])[:, None, None]
    disc = (np.hypot(y, x) < 0.45 * rows).astype(np.uint8)
    picture = disc[..., None] * np.array([180, 90, 50], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
