import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep._thickness import CUP, DISC, THICKEST_UM, as_grey, count, decode, encode, read_map, write_map
from medmd.transforms import LoadPhotograph


@given(st.lists(st.floats(0, THICKEST_UM), min_size=1, max_size=50))
def test_a_thickness_comes_back_to_within_half_a_hundredth(values):
    back = decode(encode(np.array([values])))
    np.testing.assert_allclose(back[0], values, rtol=0, atol=0.005 + 1e-9)


def test_whole_pixels_of_the_scanner_come_back_exactly():
    pixels = np.arange(0, 180)
    back = decode(encode((pixels * 1.95503)[None]))
    np.testing.assert_array_equal(np.rint(back[0] / 1.95503), pixels)


def test_what_is_no_thickness_stays_apart_from_a_thickness_of_0():
    values = np.array([[CUP, DISC, np.nan, np.inf, -np.inf, -0.5, -50, 1e6, THICKEST_UM + 1, 0.0, 0.01]])
    pixels = encode(values)
    assert pixels.tolist() == [[1, 2, 0, 0, 0, 0, 0, 0, 0, 3, 4]]
    assert count(pixels) == {"measured": 2, "cup": 1, "disc": 1, "invalid": 7}
    back = decode(pixels)
    assert back[0, :2].tolist() == [-2, -1]
    assert np.isnan(back[0, 2:9]).all()
    assert back[0, 9:].tolist() == pytest.approx([0, 0.01])


def test_a_map_on_disk_is_what_the_bundle_reads(tmp_path):
    thickness = np.linspace(0, 400, 600).reshape(20, 30)
    pixels = encode(thickness)
    digest = write_map(tmp_path / "map.png", pixels)
    assert digest == write_map(tmp_path / "again.png", pixels)
    np.testing.assert_array_equal(read_map(tmp_path / "map.png"), pixels)
    with Image.open(tmp_path / "map.png") as file:
        assert (file.mode[:1], file.info) == ("I", {})
    loaded = LoadPhotograph()(tmp_path / "map.png").numpy()
    assert loaded.shape == (3, 20, 30)
    np.testing.assert_allclose((loaded[1] * 257 - 3) / 100, thickness, atol=0.006)


def test_for_the_eye_thick_is_bright_and_unmeasured_black():
    grey = as_grey(encode(np.array([[CUP, np.nan, 0, 125, 250, 400]])))
    assert grey.tolist() == [[0, 0, 0, 127, 255, 255]]
