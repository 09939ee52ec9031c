"""A picture of the cohort for the eye: some photographs and B-scans ordered by MD."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medmd.data.phantom._fundus import SIZE
from medmd.data.phantom._latent import Eye
from medmd.data.phantom._write import image_path

_COLUMNS, _ROWS = 8, 2
_GAP, _TEXT = 6, 14
_SCAN_HEIGHT = 108
# Above the fovea, where an arcuate bundle crosses the scan.
_SLICES = (7, 15)


def sheet_bytes(folder: Path, eyes: Sequence[Eye]) -> bytes:
    """A PNG with up to 16 eyes evenly spread over the ranks of MD, the best first.

    Each has its photograph, a B-scan through the superior arcuate bundle and one through the fovea, and its measured
    and true MD in dB.
    """
    from PIL import Image, ImageDraw

    ranked = sorted(eyes, key=lambda eye: (-eye.measured_md, eye.case_id))
    count = min(_COLUMNS * _ROWS, len(ranked))
    chosen = [ranked[k] for k in np.linspace(0, len(ranked) - 1, count).round().astype(int)]
    cell = (SIZE + _GAP, _TEXT + SIZE + len(_SLICES) * (_SCAN_HEIGHT + 2) + _GAP)
    columns, rows = min(_COLUMNS, count), -(-count // _COLUMNS)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), (24, 24, 24))
    pen = ImageDraw.Draw(sheet)
    for k, eye in enumerate(chosen):
        left, top = _GAP + (k % _COLUMNS) * cell[0], _GAP + (k // _COLUMNS) * cell[1]
        pen.text((left, top), f"{eye.laterality} {eye.measured_md:.1f} dB (true {eye.true_md:.1f})", fill=(235,) * 3)
        for picture, offset in _pictures(folder, eye):
            sheet.paste(picture, (left, top + _TEXT + offset))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _pictures(folder: Path, eye: Eye) -> list[tuple[Any, int]]:
    import nibabel
    from PIL import Image

    pictures = []
    if "fundus" not in eye.missing:
        with Image.open(folder / image_path(eye, "fundus")) as photograph:
            pictures.append((photograph.convert("RGB"), 0))
    if "oct" not in eye.missing:
        volume = np.asarray(nibabel.load(folder / image_path(eye, "oct")).dataobj)
        for k, number in enumerate(_SLICES):
            scan = Image.fromarray(np.ascontiguousarray(volume[:, :, number].T))
            scan = scan.resize((SIZE, _SCAN_HEIGHT), Image.Resampling.BILINEAR).convert("RGB")
            pictures.append((scan, SIZE + 2 + k * (_SCAN_HEIGHT + 2)))
    return pictures
