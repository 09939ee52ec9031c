from monai.transforms import Compose

from medmd.transforms import CropRetinaBandd
from medmd.workflows.preflight._depth import depth_problems


def warnings(height, **depths):
    crop = CropRetinaBandd("oct", height=height, allow_missing_keys=True)
    return [str(problem) for problem in depth_problems(Compose([crop]), depths)]


def test_a_quarter_is_enough_and_less_is_a_warning_with_both_numbers():
    assert warnings(64, oct=256) == []
    (text,) = warnings(64, oct=257)
    assert "found 64 of 257 voxels" in text
    assert "bundles/remd/data" in text


def test_the_synthetic_band_is_too_narrow_for_every_clinical_scan_and_the_overlay_s_is_not():
    for depth in (496, 992, 1024):
        assert len(warnings(64, oct=depth)) == 1
        assert warnings(480, oct=depth) == []


def test_without_the_crop_or_without_volumes_there_is_nothing_to_say():
    assert list(depth_problems(Compose([]), {"oct": 1024})) == []
    assert list(depth_problems(lambda item: item, {"oct": 1024})) == []
    assert warnings(64) == []
