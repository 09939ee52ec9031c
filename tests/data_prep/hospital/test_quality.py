import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_prep.hospital._facts import Examination
from data_prep.hospital._quality import judge, measure_photo, measure_volume
from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import FundusRules, OctRules, QualityRules

SITE = SiteConfig()


def volume(slices=20, depth=64, along=48, seed=0):
    """A bright band on a dark background with speckle, its height wandering from slice to slice."""
    random = np.random.default_rng(seed)
    rows = np.arange(depth)[:, None]
    height = depth / 2 + 5 * np.sin(np.linspace(0, 3, along))
    found = np.empty((slices, depth, along), dtype=np.uint8)
    for number in range(slices):
        band = np.exp(-(((rows - height - 0.1 * number) / 6) ** 2))
        found[number] = np.clip((20 + 170 * band) * random.gamma(8, 1 / 8, band.shape), 0, 255)
    return found


def photograph(size=200, seed=0):
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    field = np.hypot(x, y) < 0.47 * size
    base = np.stack([180 + 0 * x, 90 + 10 * np.sin(x / 3), 50 + 0 * x], axis=-1) + random.normal(0, 3, (size, size, 3))
    return np.where(field[..., None], np.clip(base, 0, 255), 2).astype(np.uint8)


def test_a_sound_volume():
    found = measure_volume(volume())
    assert found["slices"] == 20
    assert found["blank_slices"] == found["truncated_slices"] == 0
    assert found["contrast"] > 0.4
    assert found["slice_similarity"] > 0.9
    assert found["signal_to_noise"] > 5


def test_sixteen_bits_measure_as_eight():
    eight = volume()
    for bits in (12, 16):
        wide = (eight.astype(np.uint16) << (bits - 8)) + 2 ** (bits - 8) - 1
        assert measure_volume(wide)["contrast"] == pytest.approx(measure_volume(eight)["contrast"], abs=0.01)


def test_blank_slices_are_counted():
    damaged = volume()
    damaged[[3, 7]] = 9
    damaged[8] = np.random.default_rng(0).integers(0, 3, damaged[8].shape)
    assert measure_volume(damaged)["blank_slices"] == pytest.approx(3 / 20)


@pytest.mark.parametrize(("rows", "share"), [(7, 0.25), (6, 0.0)])
def test_lost_lower_ends_are_counted(rows, share):
    damaged = volume()
    damaged[::4, 64 - rows :] = 128
    assert measure_volume(damaged)["truncated_slices"] == share


def test_a_blank_slice_is_not_truncated_as_well():
    damaged = volume()
    damaged[0] = 0
    assert measure_volume(damaged)["truncated_slices"] == 0


def test_saturation_against_a_plain_count():
    bright = np.clip(volume().astype(int) * 3, 0, 255).astype(np.uint8)
    assert measure_volume(bright)["saturated"] == pytest.approx((bright >= 254).mean())


def test_noise_and_shuffled_pixels_are_unlike():
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 48)).astype(np.uint8)
    assert abs(measure_volume(noise)["slice_similarity"]) < 0.1


def test_similarity_against_corrcoef():
    found = volume(slices=2, depth=32, along=32)
    blocks = found.reshape(2, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(2, -1)
    assert measure_volume(found)["slice_similarity"] == pytest.approx(np.corrcoef(blocks)[0, 1])


def test_a_single_slice_has_no_neighbour():
    assert "slice_similarity" not in measure_volume(volume(slices=1))


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=3, max_dims=3, max_side=20)))
def test_any_volume_gives_finite_numbers(pixels):
    found = measure_volume(pixels)
    assert all(np.isfinite(value) for value in found.values())
    for name in ("blank_slices", "truncated_slices", "saturated", "contrast"):
        assert 0 <= found[name] <= 1, name


def test_a_sound_photograph():
    found = measure_photo(photograph())
    assert found["circle_found"] == 1
    assert found["circle_radius"] == pytest.approx(0.47, abs=0.02)
    assert found["saturated"] == found["dark"] == 0
    assert found["evenness"] > 0.8
    assert found["colourfulness"] > 40


def test_colourfulness_against_its_formula():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    red, green, blue = (pixels[..., channel].astype(float) for channel in range(3))
    rg, yb = red - green, 0.5 * (red + green) - blue
    expected = np.sqrt(rg.var() + yb.var()) + 0.3 * np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
    assert measure_photo(pixels)["colourfulness"] == pytest.approx(expected)


def test_measures_follow_damages():
    sound = photograph()
    measured = measure_photo(sound)
    grey = np.repeat(sound[..., 1:2], 3, axis=2)
    ramp = (sound * np.linspace(0, 1, 200)[None, :, None]).astype(np.uint8)
    blurred = (sound.astype(int) + np.roll(sound, 2, 1) + np.roll(sound, 4, 1)) // 3
    assert measure_photo(grey)["colourfulness"] == 0
    assert measure_photo(ramp)["evenness"] < measured["evenness"] / 2
    assert measure_photo(blurred.astype(np.uint8))["sharpness"] < measured["sharpness"]
    assert measure_photo(np.full((50, 50, 3), 255, np.uint8))["saturated"] == 1
    assert measure_photo(np.zeros((50, 50, 3), np.uint8))["dark"] == 1


def test_large_photographs_are_measured_smaller():
    small = photograph(400)
    large = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    for name, value in measure_photo(small).items():
        assert measure_photo(large)[name] == pytest.approx(value, rel=0.25, abs=0.02), name


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 2000, 3), (3, 700, 3), (1100, 5, 3)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_any_photograph_gives_finite_numbers(shape, value):
    assert all(np.isfinite(each) for each in measure_photo(np.full(shape, value, np.uint8)).values())


def test_measuring_a_large_photograph_takes_little_memory():
    import tracemalloc

    pixels = np.zeros((3000, 3000, 3), dtype=np.uint8)
    measure_photo(pixels[:100, :100])
    tracemalloc.start()
    measure_photo(pixels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * pixels.nbytes


def seen(kind, **facts):
    return Examination(pointer="e", kind=kind, patient="p", laterality="R", day=0, source_format="test", **facts)


@pytest.mark.parametrize(
    ("kind", "facts", "reason"),
    [
        ("oct", {}, None),
        ("oct", {"shape": (15, 9, 9)}, "too-few-slices"),
        ("oct", {"shape": (16, 9, 9)}, None),
        ("oct", {"scan_pattern": "radial"}, "scan-pattern-not-accepted"),
        ("oct", {"quality": {"blank_slices": 0.06}}, "slices-blank"),
        ("oct", {"quality": {"truncated_slices": 0.2}}, "slices-truncated"),
        ("oct", {"quality": {"saturated": 0.5}}, "volume-saturated"),
        ("oct", {"quality": {"contrast": 0.01}}, "volume-contrast-low"),
        ("oct", {"quality": {"slice_similarity": 0.0}}, "slices-unlike"),
        ("fundus", {}, None),
        ("fundus", {"field_of_view": 60.0}, None),
        ("fundus", {"field_of_view": 61.0}, "field-too-wide"),
        ("fundus", {"quality": {"circle_found": 0.0}}, None),
        ("fundus", {"quality": {"dark": 0.9}}, "photo-dark"),
        ("fundus", {"quality": {"saturated": 0.9}}, "photo-saturated"),
        ("fundus", {"quality": {"colourfulness": 0.0}}, "photo-grey"),
        ("fundus", {"quality": {"evenness": 0.01}}, "photo-uneven"),
        ("vf", {"md": 3.0}, None),
    ],
)
def test_judgements(kind, facts, reason):
    assert judge(seen(kind, **facts), SITE) == reason


def test_judgements_of_the_site_file():
    strict = SiteConfig(
        oct=OctRules(regions=("macula",), min_signal=5.0, min_signal_of={"zeiss": 7.0}),
        fundus=FundusRules(regions=("disc",)),
        quality=QualityRules(circle_required=True, min_sharpness=0.1),
    )
    assert judge(seen("oct"), strict) == "region-not-accepted"
    assert judge(seen("fundus", region="macula"), strict) == "region-not-accepted"
    macula = {"region": "macula"}
    assert judge(seen("oct", signal=6.0, device="topcon triton", **macula), strict) is None
    assert judge(seen("oct", signal=6.0, device="zeiss cirrus", **macula), strict) == "signal-low"
    assert judge(seen("oct", signal=4.0, **macula), strict) == "signal-low"
    assert judge(seen("oct", **macula), strict) is None
    disc = {"region": "disc"}
    assert judge(seen("fundus", quality={"circle_found": 0.0}, **disc), strict) == "no-circle"
    assert judge(seen("fundus", quality={"sharpness": 0.05}, **disc), strict) == "photo-blurred"


def test_sound_synthetic_images_pass():
    assert judge(seen("oct", quality=measure_volume(volume())), SITE) is None
    assert judge(seen("fundus", quality=measure_photo(photograph())), SITE) is None
