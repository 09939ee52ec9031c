"""Circles of known centre and radius are recovered, also when cut; what is no field of view is not called one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from medmd.transforms import FundusCircle, circle_mask, fit_fundus_circle


def photograph(shape, circle, *, bars=(0, 0, 0, 0), tab=False, noise=3.0, vignette=0.5, seed=0):
    """A blurred, vignetted, textured disc; `bars` blacken rows at top and bottom, columns at left and right."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(rows - circle.row, columns - circle.column)
    shading = np.array([180.0, 90, 40])[:, None, None] * (1 - vignette * (distance / circle.radius) ** 2)
    field = shading + 2 * gaussian_filter(rng.normal(0, 60, (3, *shape)), (0, 6, 6))
    top, bottom, left, right = bars
    seen = (distance <= circle.radius) & (rows >= top) & (rows < shape[0] - bottom)
    seen &= (columns >= left) & (columns < shape[1] - right)
    image = np.where(seen, field, 0)
    if tab:
        corner = int(circle.row - 0.75 * circle.radius), int(circle.column + 0.75 * circle.radius)
        image[:, corner[0] : corner[0] + 10, corner[1] : corner[1] + 12] = 200
    blurred = gaussian_filter(image, (0, 0.7, 0.7))
    return np.clip(blurred + rng.normal(0, noise, image.shape), 0, 255)


def assert_found(image, circle, tolerance=0.01):
    found = fit_fundus_circle(image)
    assert found is not None
    errors = np.abs(np.subtract(found, circle))
    assert errors.max() <= max(tolerance * circle.radius, 0.5), (found, circle)


@settings(max_examples=25, deadline=None)
@given(st.floats(50, 68), st.floats(-4, 4), st.floats(-4, 4), st.floats(0.2, 0.8), st.integers(0, 99))
def test_a_whole_circle_is_found_within_one_percent(radius, down, right, vignette, seed):
    circle = FundusCircle(71.5 + down, 71.5 + right, radius)
    assert_found(photograph((144, 144), circle, vignette=vignette, seed=seed), circle)


@pytest.mark.parametrize(
    ("shape", "circle", "options"),
    [
        ((128, 144), FundusCircle(60, 71, 80), {}),
        ((400, 600), FundusCircle(200, 300, 260), {}),
        ((400, 300), FundusCircle(190, 200, 190), {}),
        ((300, 400), FundusCircle(150, 205, 160), {"bars": (40, 40, 0, 0)}),
        ((300, 400), FundusCircle(120, 190, 160), {"bars": (20, 60, 0, 0), "vignette": 0.85, "noise": 6}),
        ((300, 300), FundusCircle(150, 150, 140), {"bars": (0, 0, 40, 30)}),
        ((512, 512), FundusCircle(256, 250, 250), {"tab": True}),
        ((1100, 1300), FundusCircle(540, 660, 500), {"vignette": 0.8}),
    ],
    ids=["border", "border-wide", "border-left", "bars", "bars-dark", "bars-side", "tab", "large"],
)
def test_a_cut_marked_or_large_circle_is_found_within_one_percent(shape, circle, options):
    assert_found(photograph(shape, circle, **options), circle)


def test_brightness_scale_does_not_matter():
    circle = FundusCircle(70, 74, 60)
    image = photograph((144, 144), circle, noise=1)
    for gain in (1 / 255, 0.3, 100):
        assert_found(image * gain, circle)


def noisy(low, high):
    return np.random.default_rng(0).uniform(low, high, (3, 96, 96))


def square():
    rows, columns = np.ogrid[:96, :96]
    return np.broadcast_to(np.where((abs(rows - 48) < 30) & (abs(columns - 48) < 30), 150.0, 0), (3, 96, 96))


def half_dark():
    image = gaussian_filter(noisy(50, 255), (0, 3, 3))
    image[:, :, :30] = 0
    return image


@pytest.mark.parametrize(
    "image",
    [np.zeros((3, 96, 96)), np.ones((3, 96, 96)), noisy(60, 200), square(), half_dark(), np.zeros((3, 1, 1))],
    ids=["blank", "white", "disc-crop", "square", "half-dark", "pixel"],
)
def test_what_shows_no_circle_has_none(image):
    assert fit_fundus_circle(image) is None


def test_a_small_spot_is_no_field_of_view():
    image = np.zeros((3, 100, 100))
    image[:, 48:52, 48:52] = 200
    image[:, 10, 10] = 200
    assert fit_fundus_circle(image) is None


def test_mask_holds_the_pixels_within_the_radius():
    mask = circle_mask(FundusCircle(2, 3, 1.0), (5, 6))
    assert sorted(zip(*map(list, np.nonzero(mask)), strict=True)) == [(1, 3), (2, 2), (2, 3), (2, 4), (3, 3)]
