"""The picture of a volume's middle slice."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PIL import Image

from data_prep._volumes import write_volume
from data_prep.hospital._preview import middle_slice


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("slices", [1, 4, 5])
def test_it_is_the_slice_that_nibabel_reads(tmp_path, dtype, slices):
    volume = np.random.default_rng(slices).integers(0, np.iinfo(dtype).max, (slices, 30, 20)).astype(dtype)
    path = tmp_path / "a.nii.gz"
    write_volume(path, iter(volume), count=slices, spacing_mm=(0.01, 0.004, 0.02))

    read = np.asarray(nibabel.load(path).dataobj)[:, :, slices // 2].T.astype(np.float64)
    low, high = np.percentile(read, [0.5, 99.5])
    expected = np.clip((read - low) / (high - low), 0, 1) * 255

    shown = np.asarray(Image.open(middle_slice(path)), dtype=np.float64)
    assert shown.shape == (30, 20)
    # The picture is rounded down, and computed in float32.
    assert np.abs(shown - np.floor(expected)).max() <= 1
    assert shown.std() > 50


def test_an_even_slice_has_a_picture(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_volume(path, iter(np.full((3, 8, 8), 7, np.uint8)), count=3, spacing_mm=(1.0, 1.0, 1.0))
    assert np.asarray(Image.open(middle_slice(path))).max() == 0
