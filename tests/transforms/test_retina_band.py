"""The retina is found wherever it lies; blank scans are cropped at their centre; the inverse puts it back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor

from medmd.transforms import CropRetinaBandd, find_retina_band
from medmd.utils import MedmdError


def scan(middle, *, thickness=16, depth=96, tilt=0.0, noise=20.0, seed=0):
    """(1, slices, depth, along-scan): a bright band around `middle`, tilted along the scan, on a noisy background."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:depth, :32]
    band = np.abs(rows - middle - tilt * (columns - 15.5)) <= thickness / 2
    return (200.0 * band + rng.rayleigh(noise, (1, 8, depth, 32))).clip(0, 255).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    middle=st.floats(20, 76),
    thickness=st.floats(6, 24),
    tilt=st.floats(-0.5, 0.5),
    noise=st.floats(1, 40),
    seed=st.integers(0, 99),
)
def test_the_window_is_centred_on_the_band(middle, thickness, tilt, noise, seed):
    volume = scan(middle, thickness=thickness, tilt=tilt, noise=noise, seed=seed)
    band = find_retina_band(volume, depth_axis=2, height=32)
    assert band.found
    assert abs(np.clip(middle - 15.5, 0, 64) - band.start) <= 2


@given(st.integers(-15, 15))
def test_the_window_moves_with_the_scan(by):
    volume = scan(48)
    start = find_retina_band(volume, depth_axis=2, height=40).start
    assert abs(find_retina_band(np.roll(volume, by, axis=2), depth_axis=2, height=40).start - start - by) <= 1


@pytest.mark.parametrize("gain", [0.01, 1.0, 100.0])
def test_brightness_unit_and_specular_reflections_do_not_matter(gain):
    volume = scan(30) * gain + 7
    assert abs(find_retina_band(volume, depth_axis=2, height=32).start - 14.5) <= 1
    volume[0, 0, 90, 3] = 1e6
    assert abs(find_retina_band(volume, depth_axis=2, height=32).start - 14.5) <= 1


def test_axes_and_no_smoothing():
    volume = scan(60)
    turned = np.moveaxis(volume, 2, 3)
    assert find_retina_band(volume, depth_axis=2, height=32) == find_retina_band(turned, depth_axis=3, height=32)
    assert abs(find_retina_band(volume, depth_axis=2, height=32, smoothing=0).start - 44.5) <= 1


@pytest.mark.parametrize(
    "volume",
    [
        np.zeros((1, 4, 96, 8)),
        np.full((1, 4, 96, 8), 37.0),
        np.random.default_rng(0).rayleigh(20, (1, 16, 96, 32)),
    ],
)
def test_a_scan_without_a_retina_is_cropped_at_its_centre_and_says_so(volume):
    cropped = CropRetinaBandd("oct", height=64)({"oct": volume.astype(np.float32)})
    assert cropped["oct_retina_band"] == {"start": 16, "height": 64, "found": False}
    np.testing.assert_array_equal(cropped["oct"].numpy(), volume[:, :, 16:80].astype(np.float32))


@pytest.mark.parametrize("middle", [2, 30, 60, 94])
@pytest.mark.parametrize(("height", "fill"), [(40, 0.0), (96, 0.0), (101, -1.0)])
def test_crop_and_inverse(middle, height, fill):
    volume = MetaTensor(scan(middle), affine=torch.diag(torch.tensor([2.0, 3, 4, 1], dtype=torch.float64)))
    crop = CropRetinaBandd("oct", height=height, fill=fill)
    cropped = crop({"oct": volume, "other": 1})
    start = cropped["oct_retina_band"]["start"]
    padded = np.pad(volume.numpy(), ((0, 0), (0, 0), (10, 10), (0, 0)), constant_values=fill)
    np.testing.assert_array_equal(cropped["oct"].numpy(), padded[:, :, start + 10 : start + 10 + height])
    np.testing.assert_allclose(cropped["oct"].affine[:3, 3], [0, 3 * start, 0])
    back = crop.inverse(cropped)["oct"]
    inside = slice(max(start, 0), min(start + height, 96))
    assert back.shape == volume.shape
    assert torch.equal(back[:, :, inside], volume[:, :, inside])
    outside = np.delete(back.numpy(), np.r_[inside], axis=2)
    assert (outside == fill).all()
    torch.testing.assert_close(back.affine, volume.affine)
    assert back.applied_operations == []


@pytest.mark.parametrize("anchor", [0.0, 0.3, 1.0])
def test_the_anchor_is_where_the_band_lies_in_the_window(anchor):
    cropped = CropRetinaBandd("oct", height=20, anchor=anchor)({"oct": scan(48, thickness=6, noise=1)})
    assert abs(cropped["oct_retina_band"]["start"] + anchor * 19 - 48) <= 1


def test_the_crop_does_not_share_memory_with_the_scan():
    volume = torch.from_numpy(scan(40))
    before = volume.clone()
    CropRetinaBandd("oct", height=32)({"oct": volume})["oct"].zero_()
    assert torch.equal(volume, before)


@pytest.mark.parametrize("volume", [np.full((1, 4, 9, 4), np.nan), np.zeros((1, 4))])
def test_an_unusable_volume_names_the_case(volume):
    with pytest.raises(MedmdError, match="case 'c1': 'oct' with shape"):
        CropRetinaBandd("oct", height=4)({"case_id": "c1", "oct": volume})


def test_missing_keys_and_wrong_options():
    assert CropRetinaBandd("oct", height=4, allow_missing_keys=True)({"a": 1}) == {"a": 1}
    with pytest.raises(KeyError, match="oct"):
        CropRetinaBandd("oct", height=4)({"a": 1})
    for wrong in ({"height": 0}, {"height": 4, "depth_axis": -1}, {"height": 4, "anchor": 2.0}):
        with pytest.raises(ValueError, match="expected height >= 1"):
            CropRetinaBandd("oct", **wrong)
