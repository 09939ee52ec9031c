"""Arteries and veins of a fundus photograph, drawn as lines that leave the disc and branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medmd.data.phantom._anatomy import DISC_X

# Lines are drawn finer than the photograph and averaged, so that a thin vessel is faint and not jagged.
_FINER = 3
_STEP = 0.16
# Points drawn at one width.
_STRETCH = 5


@dataclass(frozen=True)
class Line:
    """One vessel: its points in mm, (n, 2), and its width in mm at each."""

    points: npt.NDArray
    widths: npt.NDArray


def grow_tree(rng: np.random.Generator, width: float) -> list[Line]:
    """Four trunks, one a quadrant; the temporal ones arch around the macula, the nasal ones run off."""
    lines: list[Line] = []
    for side in (1.0, -1.0):
        temporal = np.radians(90.0 + rng.normal(2.0, 9.0))
        nasal = np.radians(42.0 + rng.normal(0.0, 12.0))
        _grow(lines, rng, temporal, side, bend=rng.normal(0.36, 0.04), width=width, length=9.0, depth=2)
        _grow(lines, rng, nasal, side, bend=rng.normal(0.05, 0.08), width=0.75 * width, length=5.0, depth=1)
    return lines


def draw_lines(lines: list[Line], to_pixels: Any, size: int) -> npt.NDArray[np.float32]:
    """Coverage in [0, 1] of every pixel, (size, size).

    Args:
        lines: the vessels.
        to_pixels: maps points in mm, (n, 2), to (column, row) of the photograph.
        size: pixels a side.
    """
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (size * _FINER, size * _FINER))
    pen = ImageDraw.Draw(canvas)
    per_mm = _FINER * float(np.linalg.norm(np.diff(to_pixels(np.array([[0.0, 0.0], [1.0, 0.0]])), axis=0)))
    for line in lines:
        pixels = to_pixels(line.points) * _FINER
        for first in range(0, len(pixels) - 1, _STRETCH):
            width = max(1, round(float(line.widths[first]) * per_mm))
            pen.line(pixels[first : first + _STRETCH + 1].ravel().tolist(), fill=255, width=width)
    return np.asarray(canvas.reduce(_FINER), dtype=np.float32) / np.float32(255.0)


def _grow(
    lines: list[Line],
    rng: np.random.Generator,
    heading: float,
    side: float,
    *,
    bend: float,
    width: float,
    length: float,
    depth: int,
    start: npt.NDArray | None = None,
) -> None:
    """Walk from the disc (or `start`): `heading` in radians from nasal, `bend` in radians a mm towards temporal."""
    steps = int(length / _STEP)
    curve = bend * np.exp(-np.arange(steps) * _STEP / 6.0)
    wander = np.cumsum(rng.normal(0.0, 0.05, steps)) * 0.6
    direction = heading + np.cumsum(curve * _STEP) + wander
    moves = _STEP * np.stack([np.cos(direction), side * np.sin(direction)], axis=1)
    origin = np.array([DISC_X + rng.normal(0.05, 0.06), side * 0.08]) if start is None else start
    points = np.concatenate([origin[None], origin + np.cumsum(moves, axis=0)])
    widths = width * np.linspace(1.0, 0.45, steps + 1)
    lines.append(Line(points, widths))
    if depth == 0:
        return
    for at in np.sort(rng.uniform(0.12, 0.7, 3)):
        k = int(at * steps)
        turn = rng.choice([-1.0, 1.0]) * rng.uniform(0.45, 0.85)
        _grow(
            lines, rng, direction[k] + turn, side, bend=0.4 * bend, width=0.62 * widths[k],
            length=rng.uniform(0.3, 0.55) * length, depth=depth - 1, start=points[k],
        )  # fmt: skip
