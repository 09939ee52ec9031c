"""The circular field of view of a fundus photograph, found and measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_fill_holes, gaussian_filter, map_coordinates
from skimage.measure import label

# A pixel belongs to the field when it is brighter than this share of the photograph's bright end. Black surrounds,
# with their compression noise, stay below a fifth of it; the darkest rim of a field lies above it.
_THRESHOLD = 0.06
# Two-sided trimming of the boundary: points farther from the fit than this share of the radius (and than a pixel) go.
_TOLERANCE = 0.01
_ROUNDS = 20
# Larger photographs are searched at a whole fraction of their size; only the radius is then measured at full size.
_SEARCH_SIZE = 512
# Rays and the part of the radius, to either side of the first fit, in which the edge is looked for.
_RAYS, _REACH = 180, 0.06
# What is accepted as a circular field, see `_plausible`.
_SMALLEST_RADIUS, _LARGEST_RADIUS = 0.2, 1.5
_SMALLEST_INLIERS = 0.6
_SMALLEST_COVER = 0.6
_LARGEST_SPILL = 0.03
_SMALLEST_SURROUND = 0.02


class FundusCircle(NamedTuple):
    """Centre (row, column) and radius in pixels; pixel centres lie at whole numbers."""

    row: float
    column: float
    radius: float


def fit_fundus_circle(photograph: np.ndarray) -> FundusCircle | None:
    """Fit a circle to the boundary of the bright field on a dark surround.

    The field is the largest connected region above a threshold relative to the photograph's own brightness. Its left
    and right ends in every row, and its upper and lower ends in every column, are two sets of boundary points; ends on
    the photograph's border are no boundary and are left out. A circle is fitted to each set by least squares (Kåsa
    1976), points off the circle are trimmed and the fit repeated, and the set with the larger share of points on its
    circle is taken. A circle that is cut off above and below thus keeps its left and right arcs, whether it is cut by
    the photograph's border or by black bars, and notches, tabs or text in the corners are trimmed. The threshold lies
    low on the edge's slope, so the radius comes out a little large; it is corrected to where the median brightness over
    all directions falls most steeply.

    Args:
        photograph: (channels, rows, columns), values >= 0.

    Returns:
        The circle, or None when no circular field is visible (a crop around the disc, a blank image).
    """
    brightest = photograph.max(axis=0).astype(np.float64)
    step = -(-max(brightest.shape) // _SEARCH_SIZE)
    field = _field(_block_mean(brightest, step))
    if field is None:
        return None
    fits = [_robust_fit(points) for points in (_row_ends(field), _row_ends(field.T)[:, ::-1])]
    plausible = [(share, circle) for share, circle in fits if circle is not None and _plausible(circle, share, field)]
    if not plausible:
        return None
    _, circle = max(plausible, key=lambda fit: fit[0])
    middle = (step - 1) / 2
    return _with_edge(
        brightest, FundusCircle(circle.row * step + middle, circle.column * step + middle, circle.radius * step)
    )


def circle_mask(circle: FundusCircle, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) bool, True inside the circle."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - circle.row) ** 2 + (columns - circle.column) ** 2 <= circle.radius**2


def _block_mean(image: np.ndarray, step: int) -> np.ndarray:
    """Mean over blocks of step x step pixels; a remainder at the far borders is left out."""
    rows, columns = (side // step for side in image.shape)
    blocks = image[: rows * step, : columns * step].reshape(rows, step, columns, step)
    return blocks.mean(axis=(1, 3))


def _field(brightest: np.ndarray) -> np.ndarray | None:
    """The largest bright region, holes filled; None when there is none or it fills the photograph."""
    # Half a percent of the size removes compression noise without moving an edge by a pixel.
    smooth = gaussian_filter(brightest, 0.005 * max(brightest.shape), mode="nearest")
    bright = smooth > max(_THRESHOLD * float(np.percentile(smooth, 99)), np.finfo(np.float32).tiny)
    regions = label(bright, connectivity=1)
    sizes = np.bincount(regions.ravel())[1:]
    if sizes.size == 0 or 1 - sizes.max() / bright.size < _SMALLEST_SURROUND:
        return None
    return binary_fill_holes(regions == 1 + int(sizes.argmax()))


def _row_ends(field: np.ndarray) -> np.ndarray:
    """(n, 2) row and column of the first and last pixel of the field in each row, those on the border left out."""
    rows = np.flatnonzero(field.any(axis=1))
    width = field.shape[1]
    first = field[rows].argmax(axis=1)
    last = width - 1 - field[rows, ::-1].argmax(axis=1)
    # The edge runs between the last pixel inside and the first one outside.
    left = np.stack([rows, first - 0.5], axis=1)[first > 0]
    right = np.stack([rows, last + 0.5], axis=1)[last < width - 1]
    return np.concatenate([left, right])


def _robust_fit(points: np.ndarray) -> tuple[float, FundusCircle | None]:
    """Share of the points that lie on the circle, and the circle."""
    kept = points
    circle, share = None, 0.0
    for _ in range(_ROUNDS):
        if len(kept) < 3:
            return 0.0, None
        circle = _least_squares(kept)
        residuals = np.abs(np.hypot(points[:, 0] - circle.row, points[:, 1] - circle.column) - circle.radius)
        tolerance = max(_TOLERANCE * circle.radius, 1.0)
        share = float((residuals <= tolerance).mean())
        # Start from the better half, so that a far outlier's pull on the first fit does not decide what is trimmed.
        trimmed = points[residuals <= max(tolerance, float(np.median(residuals)))]
        if len(trimmed) == len(kept) and np.array_equal(trimmed, kept):
            break
        kept = trimmed
    return share, circle


def _least_squares(points: np.ndarray) -> FundusCircle:
    """Kåsa's fit: row² + column² = 2 a row + 2 b column + c is linear in a, b, c."""
    origin = points.mean(axis=0)
    centred = points - origin
    design = np.column_stack([2 * centred, np.ones(len(points))])
    a, b, c = np.linalg.lstsq(design, (centred**2).sum(axis=1), rcond=None)[0]
    return FundusCircle(float(origin[0] + a), float(origin[1] + b), float(np.sqrt(max(c + a * a + b * b, 0.0))))


def _plausible(circle: FundusCircle, share: float, field: np.ndarray) -> bool:
    """The points lie on the circle, its size fits the photograph, and it holds the bright region and little else."""
    size = max(field.shape)
    if share < _SMALLEST_INLIERS or not _SMALLEST_RADIUS <= circle.radius / size <= _LARGEST_RADIUS:
        return False
    inside = circle_mask(circle, (field.shape[0], field.shape[1]))
    common = (inside & field).sum()
    # Black bars across a cut circle lie inside it, so the field need not fill it.
    return bool(common >= _SMALLEST_COVER * inside.sum() and field.sum() - common <= _LARGEST_SPILL * field.sum())


def _with_edge(brightest: np.ndarray, circle: FundusCircle) -> FundusCircle:
    """The same centre, the radius at the steepest fall of the median radial profile."""
    reach = max(_REACH * circle.radius, 3.0)
    radii = np.arange(circle.radius - reach, circle.radius + reach, 0.25)
    angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)[:, None]
    places = np.stack([circle.row + radii * np.sin(angles), circle.column + radii * np.cos(angles)])
    # Outside the photograph there is no edge to see; NaN keeps those rays out of the median.
    profiles = map_coordinates(brightest, places, order=1, mode="constant", cval=np.nan)
    seen = profiles[np.isfinite(profiles).all(axis=1)]
    if len(seen) == 0:
        return circle
    fall = -np.gradient(gaussian_filter(np.median(seen, axis=0), 2.0))
    return circle._replace(radius=float(radii[int(fall.argmax())]))
