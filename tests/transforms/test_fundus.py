"""Photographs become squares whose inside is the field of view; the inverse puts them back."""

import numpy as np
import pytest
import torch
from PIL import Image

from medmd.transforms import FitFundusCircled
from medmd.utils import MedmdError


def disc(rows=100, columns=130, centre=(48, 66), radius=45):
    y, x = np.ogrid[:rows, :columns]
    image = np.stack([100 + y + 0 * x, 60 + x + 0 * y, 50 + 0 * (x + y)]).astype(np.float32)
    image[:, np.hypot(y - centre[0], x - centre[1]) > radius] = 0
    image[:, -8:-2, -20:-2] = 255  # burned-in text
    return image


def test_the_circle_fills_the_square_and_text_outside_is_gone():
    item = FitFundusCircled("fundus", size=64)({"fundus": disc()})
    image = item["fundus"].numpy()
    assert image.shape == (3, 64, 64)
    rows, columns = np.ogrid[:64, :64]
    distance = np.hypot(rows - 31.5, columns - 31.5)
    assert (image[:, distance > 33.5] == 0).all()
    assert (image[:, distance < 30] > 40).all()
    circle = item["fundus_circle"]
    assert circle["found"]
    np.testing.assert_allclose([circle["row"], circle["column"], circle["radius"]], [48, 66, 45], atol=0.6)


def test_nothing_is_resampled_when_the_size_fits_and_it_matches_pillow_otherwise():
    stored = disc()
    same = FitFundusCircled("fundus", size=91)({"fundus": stored})
    side = int(np.ceil(2 * same["fundus_circle"]["radius"]))
    sized = FitFundusCircled("fundus", size=side, mask=False)({"fundus": stored})["fundus"].numpy()
    top, left = (round(same["fundus_circle"][axis] - (side - 1) / 2) for axis in ("row", "column"))
    expected = stored[:, top : top + side, left : left + side]
    np.testing.assert_array_equal(sized, expected)
    small = FitFundusCircled("fundus", size=40, mask=False)({"fundus": stored})["fundus"].numpy()
    for channel in range(3):
        resized = Image.fromarray(expected[channel]).resize((40, 40), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(small[channel], np.asarray(resized), atol=0.5)


def test_a_circle_cut_by_the_border_is_filled_up_to_its_square():
    item = FitFundusCircled("fundus", size=90, fill=-1.0)({"fundus": disc(70, 130, (35, 66), 50)[:, :60]})
    image = item["fundus"].numpy()
    np.testing.assert_allclose(image[:, :12], -1, atol=1e-6)
    assert (image[:, 30:60, 40:50] > 40).all()


def test_shrink_cuts_the_rim():
    whole = FitFundusCircled("fundus", size=64)({"fundus": disc()})["fundus"]
    inner = FitFundusCircled("fundus", size=64, shrink=0.8)({"fundus": disc()})["fundus"]
    assert (inner[0, 31:33] > 0).all()
    # A vertical ramp of one grey level a row: the same rows hold 0.8 of the range.
    np.testing.assert_allclose(np.ptp(inner[0, 2:-2, 32]) / np.ptp(whole[0, 2:-2, 32]), 0.8, atol=0.03)


@pytest.mark.parametrize("shape", [(96, 96), (60, 90), (90, 61)])
def test_a_disc_crop_is_squared_without_masking(shape):
    image = np.random.default_rng(0).uniform(60, 200, (3, *shape)).astype(np.float32)
    transform = FitFundusCircled("fundus", size=max(shape))
    item = transform({"fundus": image})
    assert not item["fundus_circle"]["found"]
    top, left = ((max(shape) - side + 1) // 2 for side in shape)
    framed = np.zeros((3, max(shape), max(shape)), dtype=np.float32)
    framed[:, top : top + shape[0], left : left + shape[1]] = image
    np.testing.assert_array_equal(item["fundus"].numpy(), framed)
    np.testing.assert_array_equal(transform.inverse(item)["fundus"].numpy(), image)


def test_inverse_puts_the_field_back_where_it_was():
    stored = disc()
    transform = FitFundusCircled("fundus", size=180)
    back = transform.inverse(transform({"fundus": stored}))["fundus"]
    assert back.shape == stored.shape
    rows, columns = np.ogrid[:100, :130]
    inside, outside = (np.hypot(rows - 48, columns - 66) < 43), (np.hypot(rows - 48, columns - 66) > 48)
    np.testing.assert_allclose(back.numpy()[:, inside], stored[:, inside], atol=1.0)
    assert not back.numpy()[:, outside].any()
    assert back.applied_operations == []


def test_the_input_is_left_as_it_was():
    image = torch.from_numpy(disc())
    before = image.clone()
    FitFundusCircled("fundus", size=64)({"fundus": image})
    assert torch.equal(image, before)


def test_errors_and_missing_keys():
    with pytest.raises(MedmdError, match=r"case 'c1': 'fundus' has shape \(1, 2, 3, 4\)"):
        FitFundusCircled("fundus", size=8)({"case_id": "c1", "fundus": np.zeros((1, 2, 3, 4))})
    with pytest.raises(KeyError, match="fundus"):
        FitFundusCircled("fundus", size=8)({})
    assert FitFundusCircled("fundus", size=8, allow_missing_keys=True)({"a": 1}) == {"a": 1}
    for wrong in ({"size": 0}, {"size": 8, "shrink": 0.0}):
        with pytest.raises(ValueError, match="expected size"):
            FitFundusCircled("fundus", **wrong)
