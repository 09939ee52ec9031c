"""The images show the damage, in the right place of the right eye."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from medmd.data.phantom import PhantomCohort
from medmd.data.phantom._anatomy import disc_angle, fibre_angle, lost_share, sector_map
from medmd.data.phantom._fundus import SIZE, render_fundus
from medmd.data.phantom._oct import SHAPE, render_oct


@pytest.fixture(scope="module")
def eyes():
    return [replace(eye, pattern=np.zeros(6), laterality="R") for eye in PhantomCohort(8, 3).eyes]


def shown(eye, value, pattern=None):
    summaries = dict.fromkeys(eye.summaries, value)
    return replace(eye, summaries=summaries, pattern=eye.pattern if pattern is None else pattern)


def inner_retina(volume):
    """Bright voxels within 120 µm below the first bright one: the nerve fibre layer, (along, slices)."""
    smooth = uniform_filter(volume.astype(float), (3, 1, 3))
    first = (smooth > 80).argmax(axis=1)
    depth = np.arange(volume.shape[1])[None, :, None] - first[:, None, :]
    return ((smooth > 120) & (depth >= 0) & (depth < 8)).sum(axis=1).astype(float)


def test_shapes_types_and_black_corners(eyes):
    volume, photograph = render_oct(eyes[0]), render_fundus(eyes[0])
    assert volume.shape == SHAPE
    assert photograph.shape == (SIZE, SIZE, 3)
    assert volume.dtype == photograph.dtype == np.uint8
    assert photograph[:8, :8].max() == 0
    assert photograph[SIZE // 2, SIZE // 2].max() > 40


def test_rendering_repeats_itself(eyes):
    np.testing.assert_array_equal(render_oct(eyes[1]), render_oct(eyes[1]))
    np.testing.assert_array_equal(render_fundus(eyes[1]), render_fundus(eyes[1]))
    assert (render_oct(eyes[1]) != render_oct(eyes[2])).any()


def test_retina_gets_thinner_with_the_oct_summary_alone(eyes):
    for eye in eyes:
        counts = [inner_retina(render_oct(shown(eye, value))).mean() for value in (-2.0, 0.0, 2.0)]
        assert counts[0] > counts[1] > counts[2]
        only_fundus = replace(eye, summaries={**eye.summaries, "fundus": 3.0})
        np.testing.assert_array_equal(render_oct(only_fundus), render_oct(eye))


def test_disc_gets_pale_and_fibres_fade_with_the_fundus_summary_alone(eyes):
    for eye in eyes:
        photographs = [render_fundus(shown(eye, value)).astype(float) for value in (-2.0, 0.0, 2.0)]
        pale = [(picture[..., 2] > 125).sum() for picture in photographs]
        assert pale[0] < pale[1] < pale[2]
        green = [picture[..., 1].mean() for picture in photographs]
        assert green[0] > green[1] > green[2]
        only_oct = replace(eye, summaries={**eye.summaries, "oct": 3.0})
        np.testing.assert_array_equal(render_fundus(only_oct), render_fundus(eye))


def test_disc_is_nasal_and_fibres_thicken_towards_it(eyes):
    for eye in eyes:
        mild = shown(eye, 0.5)
        right, left = render_fundus(mild), render_fundus(replace(mild, laterality="L"))
        for photograph, nasal in ((right, 1), (left, -1)):
            columns = np.argsort(photograph[..., 2].sum(axis=0))[-9:]
            assert nasal * (np.median(columns) - SIZE / 2) > SIZE / 8
        mild = shown(eye, -2.0)
        for laterality, nasal in (("R", 1), ("L", -1)):
            volume = render_oct(replace(mild, laterality=laterality))
            thickness = inner_retina(volume)[:, [4, 5, 6, 25, 26, 27]].mean(axis=1)[::nasal]
            assert thickness[-12:].mean() > thickness[:12].mean()


def test_upper_damage_shows_in_the_upper_half(eyes):
    upper = np.array([-2.5, -2.5, -2.5, 2.5, 2.5, 2.5])
    for eye in eyes:
        spared, damaged = shown(eye, 0.0, -upper), shown(eye, 0.0, upper)
        change = inner_retina(render_oct(damaged)) - inner_retina(render_oct(spared))
        # Slice 0 is superior.
        assert change[:, :12].mean() < 0 < change[:, -12:].mean()
        green = render_fundus(damaged)[..., 1].astype(float) - render_fundus(spared)[..., 1]
        disc = slice(0, 3 * SIZE // 5)
        assert green[10 : SIZE // 2 - 25, disc].mean() < 0 < green[SIZE // 2 + 25 : -10, disc].mean()


def test_fibres_leave_the_disc_at_their_angle():
    for angle in (-70.0, -30.0, 20.0, 60.0):
        step = 0.01
        x, y = 4.5 - step * np.cos(np.radians(angle)), step * np.sin(np.radians(angle))
        assert fibre_angle(x, y) == pytest.approx(angle, abs=0.5)
        assert disc_angle(x, y) == pytest.approx(angle, abs=0.5)
    # On the horizontal line between disc and raphe fibres run straight.
    assert fibre_angle(np.array(1.0), np.array(1e-9)) == pytest.approx(0.0, abs=1e-5)


def test_sector_map_and_lost_share():
    sectors = np.arange(6.0)
    assert sector_map(np.array([-180.0, -72.0, 0.0, 72.0, 180.0]), sectors).tolist() == [0.0, 0.0, 2.5, 5.0, 5.0]
    share = lost_share(np.array([-2.0, 0.0, 2.0]))
    assert share == pytest.approx([0.04, 0.225, 0.66], abs=0.01)
