"""Enhancement equals what scikit-image and scipy give when called directly, and keeps what it promises to keep."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import color, exposure

from medmd.transforms import BenGraham, BenGrahamd, Clahe, Clahed
from medmd.utils import MedmdError


@pytest.fixture
def photograph():
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(0, 300, (3, 64, 80)), (0, 5, 5))
    return np.clip(smooth + np.array([150, 90, 60])[:, None, None], 1, 255).astype(np.float32)


def test_clahe_is_scikit_image_on_the_lightness(photograph):
    lab = color.rgb2lab(np.moveaxis(photograph, 0, -1).astype(float) / 255)
    lab[..., 0] = 100 * exposure.equalize_adapthist(lab[..., 0] / 100, kernel_size=[8, 10], clip_limit=0.02)
    expected = np.moveaxis(color.lab2rgb(lab), -1, 0) * 255
    np.testing.assert_allclose(Clahe(clip_limit=0.02)(photograph), expected, atol=1e-3)


def test_clahe_raises_local_contrast_and_keeps_hue(photograph):
    photograph = 100 + 0.2 * (photograph - 100)
    enhanced = Clahe()(photograph)
    before, after = (color.rgb2lab(np.moveaxis(image, 0, -1) / 255) for image in (photograph, enhanced))
    assert after[..., 0].std() > 1.5 * before[..., 0].std()
    assert np.median(np.abs(after[..., 1:] - before[..., 1:])) < 1.5


def test_clahe_of_grey_is_scikit_image_directly(photograph):
    grey = photograph[:1]
    expected = 255 * exposure.equalize_adapthist(grey[0].astype(float) / 255, kernel_size=[16, 20], clip_limit=0.01)
    np.testing.assert_allclose(Clahe(tiles=4)(grey)[0], expected, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 128.0, 255.0])
def test_clahe_leaves_a_uniform_image_and_the_black_surround_alone(photograph, value):
    uniform = np.full((3, 16, 16), value, dtype=np.float32)
    np.testing.assert_allclose(Clahe()(uniform), uniform, atol=0.02)
    photograph[:, :20] = 0
    assert (Clahe()(photograph)[:, :20] == 0).all()


def test_ben_graham_is_his_formula(photograph):
    blurred = np.stack([gaussian_filter(channel.astype(float), 32 / 30, mode="nearest") for channel in photograph])
    expected = np.clip(4 * photograph - 4 * blurred + 128, 0, 255)
    rows, columns = np.ogrid[:64, :80]
    expected[:, np.hypot(rows - 31.5, columns - 39.5) > 0.9 * 32] = 128
    np.testing.assert_allclose(BenGraham()(photograph), expected, atol=1e-3)


def test_ben_graham_removes_illumination():
    ramp = np.broadcast_to(np.linspace(20, 220, 64, dtype=np.float32), (3, 64, 64))
    flat = BenGraham(keep=None)(np.ascontiguousarray(ramp))
    np.testing.assert_allclose(flat[:, :, 8:-8], 128, atol=0.5)


@pytest.mark.parametrize("transform", [Clahed, BenGrahamd])
def test_dictionary_form_keeps_type_and_range_and_does_not_touch_its_input(photograph, transform):
    image = torch.from_numpy(photograph)
    before = image.clone()
    enhanced = transform(["fundus", "other"], allow_missing_keys=True)({"fundus": image})["fundus"]
    assert isinstance(enhanced, torch.Tensor)
    assert enhanced.dtype == torch.float32
    assert enhanced.shape == image.shape
    assert 0 <= enhanced.min() <= enhanced.max() <= 255
    assert not torch.equal(enhanced, image)
    assert torch.equal(image, before)
    np.testing.assert_array_equal(enhanced, transform("fundus").enhance(photograph))
    with pytest.raises(KeyError, match="fundus"):
        transform("fundus")({})


@pytest.mark.parametrize("shape", [(2, 8, 8), (8, 8), (1, 8, 8, 8)])
def test_other_shapes_name_the_case(shape):
    with pytest.raises(MedmdError, match="case 'c1': 'fundus' has shape"):
        Clahed("fundus")({"case_id": "c1", "fundus": np.zeros(shape)})
