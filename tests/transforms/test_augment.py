"""Augmentations do what they say, within their limits, and equal draws give equal images."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from scipy.ndimage import rotate

from medmd.transforms import RandInPlaneAffined, RandIntensityd, RandNoised, RandShiftAxisd

ALL = [
    RandInPlaneAffined("a", prob=0.5, degrees=10, shift=0.1, zoom=0.1),
    RandShiftAxisd("a", prob=0.5, voxels=2),
    RandIntensityd("a", prob=0.5, per="slice"),
    RandNoised("a", prob=0.5),
]


def volume(seed=0):
    return torch.rand(1, 6, 10, 12, generator=torch.Generator().manual_seed(seed))


def blob(rows=41, columns=61, at=(14, 40)):
    y, x = np.ogrid[:rows, :columns]
    spot = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 18.0)
    return torch.from_numpy(np.stack([spot, 2 * spot])).float()


def centre(image):
    weights = image.double().numpy()
    rows, columns = np.indices(weights.shape)
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
def test_equal_seeds_equal_images_half_of_them_changed(transform):
    transform.set_random_state(5)
    first = [transform({"a": volume()})["a"] for _ in range(60)]
    copy = pickle.loads(pickle.dumps(transform)).set_random_state(5)  # noqa: S301 - our own object
    assert all(torch.equal(one, copy({"a": volume()})["a"]) for one in first)
    assert 15 <= sum(not torch.equal(one, volume()) for one in first) <= 45
    assert all(type(one) is torch.Tensor and one.shape == volume().shape for one in first)


@pytest.mark.parametrize("transform", ALL, ids=lambda transform: type(transform).__name__)
def test_the_input_is_left_as_it_was_and_metatensors_become_plain(transform):
    image = MetaTensor(volume())
    for seed in range(5):
        changed = transform.set_random_state(seed)({"a": image})["a"]
        assert type(changed) is torch.Tensor
        assert torch.equal(image.as_tensor(), volume())


@pytest.mark.parametrize("kind", [RandInPlaneAffined, RandShiftAxisd, RandIntensityd, RandNoised])
def test_missing_keys_and_one_entry_for_several_shapes(kind):
    with pytest.raises(KeyError, match="a"):
        kind("a")({})
    both = kind(["a", "b"], prob=1.0, allow_missing_keys=True).set_random_state(0)
    assert both({"c": 1}) == {"c": 1}
    changed = both({"a": volume(), "b": torch.rand(3, 5, 6)})
    assert changed["b"].shape == (3, 5, 6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_shift_stays_within_its_limit_and_moves_all_planes_alike(seed):
    image = blob(at=(20, 30))
    moved = RandInPlaneAffined("a", prob=1, shift=0.2).set_random_state(seed)({"a": image})["a"]
    by = centre(moved[0]) - centre(image[0])
    assert (np.abs(by) <= np.array([0.2 * 41, 0.2 * 61]) + 0.1).all()
    torch.testing.assert_close(moved[1], 2 * moved[0])


def test_rotation_equals_scipys():
    transform = RandInPlaneAffined("a", prob=1, degrees=30, fill=0.0).set_random_state(3)
    moved = transform({"a": blob()})["a"][0]
    middle = np.array([20, 30])
    before, after = (centre(image) - middle for image in (blob()[0], moved))
    angle = np.degrees(np.arctan2(*after) - np.arctan2(*before))
    assert 1 < abs(angle) <= 30
    np.testing.assert_allclose(np.hypot(*after), np.hypot(*before), rtol=0.01)
    expected = rotate(blob()[0].numpy(), -angle, reshape=False, order=1)
    np.testing.assert_allclose(moved, expected, atol=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_zoom_changes_the_size_by_its_share(seed):
    image = blob(at=(20, 30))
    moved = RandInPlaneAffined("a", prob=1, zoom=0.3).set_random_state(seed)({"a": image})["a"]
    ratio = float(moved[0].sum() / image[0].sum())
    assert 0.7**2 - 0.01 <= ratio <= 1.3**2 + 0.01
    assert abs(ratio - 1) > 0.01
    np.testing.assert_allclose(centre(moved[0]), [20, 30], atol=0.05)


def test_no_range_no_change():
    moved = RandInPlaneAffined("a", prob=1)({"a": volume()})["a"]
    torch.testing.assert_close(moved, volume(), atol=1e-5, rtol=0)
    assert torch.equal(RandShiftAxisd("a", prob=1, voxels=0)({"a": volume()})["a"], volume())


def test_fill_decides_what_enters():
    image = torch.ones(1, 20, 20)
    for fill, low in ((None, 1.0), (0.0, 0.0), (-1.0, -1.0)):
        moved = RandInPlaneAffined("a", prob=1, shift=0.4, fill=fill).set_random_state(1)({"a": image})["a"]
        assert float(moved.min()) == pytest.approx(low, abs=1e-6)
        assert float(moved.max()) == pytest.approx(1, abs=1e-6)


def test_axis_shift_repeats_the_border():
    seen = set()
    transform = RandShiftAxisd("a", spatial_axis=0, prob=1, voxels=2).set_random_state(0)
    expected = {
        by: np.take(volume().numpy(), np.clip(np.arange(6) - by, 0, 5), axis=1).tobytes() for by in range(-2, 3)
    }
    for _ in range(60):
        moved = transform({"a": volume()})["a"].numpy().tobytes()
        seen |= {by for by, image in expected.items() if image == moved}
        assert moved in expected.values()
    assert seen == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize(("per", "axes"), [("image", (0, 1, 2, 3)), ("channel", (1, 2, 3)), ("slice", (0, 2, 3))])
def test_intensity_is_affine_within_limits_and_shared_as_asked(per, axes):
    image = torch.rand(2, 5, 8, 8)
    changed = RandIntensityd("a", prob=1, gain=0.2, offset=0.3, per=per).set_random_state(2)({"a": image})["a"]
    gain = changed.std(dim=axes, correction=0) / image.std(dim=axes, correction=0)
    assert ((gain - 1).abs() <= 0.2 + 1e-5).all()
    assert gain.unique().numel() == {"image": 1, "channel": 2, "slice": 5}[per]
    keep = [1 if axis in axes else size for axis, size in enumerate(image.shape)]
    offset = changed - (image - image.mean()) * gain.reshape(keep) - image.mean()
    assert offset.abs().max() <= 0.3 + 1e-5
    assert offset.std(dim=axes).max() < 1e-5


def test_noise_is_gaussian_and_bounded_in_strength():
    zeros = torch.zeros(1, 32, 64, 64)
    transform = RandNoised("a", prob=1, std=0.5).set_random_state(0)
    draws = [transform({"a": zeros})["a"] for _ in range(10)]
    strengths = [float(noise.std()) for noise in draws]
    assert max(strengths) <= 0.5
    assert np.ptp(strengths) > 0.1
    unit = draws[0] / draws[0].std()
    assert abs(float(unit.mean())) < 0.02
    assert float((unit.abs() < 1).float().mean()) == pytest.approx(0.6827, abs=0.01)
    assert float((unit**4).mean()) == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (RandNoised, {"prob": 1.5}),
        (RandNoised, {"std": -1}),
        (RandShiftAxisd, {"voxels": -1}),
        (RandIntensityd, {"gain": 2}),
        (RandIntensityd, {"per": "voxel"}),
        (RandInPlaneAffined, {"zoom": 1.0}),
        (RandInPlaneAffined, {"degrees": -5}),
    ],
)
def test_unusable_options_are_refused(kind, options):
    with pytest.raises(ValueError, match="got"):
        kind("a", **options)
