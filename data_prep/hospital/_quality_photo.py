"""What the pixels of a fundus photograph tell about its quality."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

# Photographs are measured at about this size, whatever the camera's: finer detail does not reach a network.
_SIZE = 512
# Brightness of which 255 is the end: overexposed above, nearly black below.
_OVEREXPOSED, _DARK = 250, 25
# The rim of the field is dark in every photograph, and its edge is sharp in none: both are left out.
_INNER = 0.9
# No photograph is longer than this many times its width.
_NARROWEST = 32
# Scales in pixels of the measured photograph: what counts as fine detail, and what as lighting.
_DETAIL, _LIGHTING = 1.5, 32.0


def measure_photo(pixels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Measure a fundus photograph within its field: the inner nine tenths of the camera's circle, or all of it.

    Args:
        pixels: (rows, columns, 3), uint8, RGB.

    Returns:
        circle_found: 1 when the round field of the camera is seen, else 0.
        circle_radius: its radius as a share of the longer side; absent without a circle.
        saturated: share of the field whose green is overexposed; red is in many photographs of light fundi.
        dark: share of the field where no channel reaches a tenth of the scale.
        evenness: 10th by 90th percentile of the smoothed green, 0 to 1.
        sharpness: standard deviation of what a Gaussian of 1.5 pixels takes from green, by the mean of green.
        colourfulness: after Hasler and Süsstrunk (2003), 0 for grey; most fundi have 30 to 100.
    """
    from medmd.transforms import circle_mask, fit_fundus_circle

    small = _reduced(pixels)
    circle = None if _is_strip(pixels) else fit_fundus_circle(small.transpose(2, 0, 1))
    field = np.ones(small.shape[:2], dtype=bool)
    found = {"circle_found": float(circle is not None)}
    if circle is not None:
        found["circle_radius"] = circle.radius / max(small.shape[:2])
        inner = circle_mask(circle._replace(radius=_INNER * circle.radius), (small.shape[0], small.shape[1]))
        field = inner if inner.any() else field
    green = small[..., 1].astype(np.float64)
    low, high = np.percentile(gaussian_filter(green, _LIGHTING * max(green.shape) / _SIZE)[field], (10, 90))
    detail = (green - gaussian_filter(green, _DETAIL))[field]
    return found | {
        "saturated": float((green[field] >= _OVEREXPOSED).mean()),
        "dark": float((small[field].max(axis=1) < _DARK).mean()),
        "evenness": float(low / high) if high > 0 else 0.0,
        "sharpness": float(detail.std() / max(green[field].mean(), 1.0)),
        "colourfulness": _colourfulness(small[field].astype(np.float64)),
    }


def _is_strip(pixels: npt.NDArray[np.uint8]) -> bool:
    """Whether a picture is so narrow that nothing is left of it at the size of measuring."""
    return min(pixels.shape[:2]) * _NARROWEST < max(pixels.shape[:2])


def _reduced(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Means over square blocks, about 512 pixels on the longer side; a remainder at the far sides is left out."""
    step = max(1, max(pixels.shape[:2]) // _SIZE)
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    if step == 1 or min(rows, columns) == 0:
        return pixels.astype(np.float32)
    total = np.zeros((rows, columns, 3), dtype=np.float32)
    # Shifted copies: no array of the photograph's size in floats is ever made.
    for row in range(step):
        for column in range(step):
            total += pixels[row : rows * step : step, column : columns * step : step]
    total /= step * step
    return total


def _colourfulness(colours: npt.NDArray[np.float64]) -> float:
    red, green, blue = colours.T
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))
