"""Left eyes are mirrored on the stated axis, right eyes are not, and the inverse knows which was which."""

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from medmd.transforms import HarmonizeLateralityd
from medmd.utils import MedmdError

AXES = {"oct": 2, "fundus": 1}


def item(laterality):
    generator = torch.Generator().manual_seed(0)
    return {
        "case_id": "c1",
        "laterality": laterality,
        "oct": torch.rand(1, 3, 4, 5, generator=generator),
        "fundus": torch.rand(3, 6, 7, generator=generator),
    }


def transform(**more):
    return HarmonizeLateralityd(keys=list(AXES), spatial_axis=list(AXES.values()), **more)


@pytest.mark.parametrize(
    ("laterality", "flip", "mirrored"), [("L", "L", 1), ("R", "L", 0), ("R", "R", 1), ("L", "R", 0)]
)
def test_only_the_horizontal_axis_of_one_side_is_mirrored(laterality, flip, mirrored):
    before = item(laterality)
    after = transform(flip=flip)(before)
    for key in AXES:
        expected = before[key].numpy()[..., ::-1] if mirrored else before[key].numpy()
        np.testing.assert_array_equal(after[key].numpy(), expected)
    assert after["laterality"] == laterality


def test_a_left_eye_that_mirrors_a_right_one_becomes_equal_to_it():
    right, left = item("R"), item("L")
    left.update({key: torch.flip(left[key], [-1]) for key in AXES})
    tidy = transform()
    assert all(torch.equal(tidy(right)[key], tidy(left)[key]) for key in AXES)


@pytest.mark.parametrize("laterality", ["R", "L"])
def test_inverse_restores_values_and_affine_even_when_the_label_is_lost(laterality):
    before = item(laterality)
    affine = torch.tensor([[0.1, 0, 0, 3], [0, 0.2, 0, 1], [0, 0, 0.3, 2], [0, 0, 0, 1]], dtype=torch.float64)
    before["oct"] = MetaTensor(before["oct"], affine=affine)
    pipeline = Compose([transform()])
    after = pipeline(before)
    after["laterality"] = None
    back = pipeline.inverse(after)
    for key in AXES:
        assert torch.equal(back[key], before[key])
        assert back[key].applied_operations == []
    torch.testing.assert_close(back["oct"].affine, affine)


def test_a_voxel_keeps_its_place_in_space():
    volume = MetaTensor(torch.arange(60.0).reshape(1, 3, 4, 5), affine=torch.diag(torch.tensor([2.0, 3, 4, 1])))
    after = HarmonizeLateralityd("oct", 2)({"oct": volume, "laterality": "L"})["oct"]
    moved = nibabel.affines.apply_affine(after.affine.numpy(), [1, 2, 4 - 3])
    np.testing.assert_allclose(moved, [2 * 1, 3 * 2, 4 * 3])
    assert after[0, 1, 2, 4 - 3] == volume[0, 1, 2, 3]


@pytest.mark.parametrize("laterality", [None, "OD", "", 1])
def test_an_unusable_laterality_is_an_error_naming_the_case(laterality):
    with pytest.raises(MedmdError, match=r"case 'c1'.*'laterality'.*expected 'R' or 'L'"):
        transform()(item(laterality))


def test_an_absent_laterality_can_be_tolerated_but_a_wrong_one_cannot():
    before = item(None)
    tidy = transform(missing="keep")
    assert torch.equal(tidy(before)["oct"], before["oct"])
    assert torch.equal(tidy.inverse(tidy(before))["fundus"], before["fundus"])
    with pytest.raises(MedmdError, match="'OS'"):
        tidy(item("OS"))


def test_missing_keys_are_an_error_unless_allowed():
    before = item("L")
    del before["fundus"]
    with pytest.raises(KeyError, match="fundus"):
        transform()(before)
    after = transform(allow_missing_keys=True)(before)
    assert "fundus" not in after
    assert torch.equal(after["oct"], torch.flip(before["oct"], [-1]))


@pytest.mark.parametrize("options", [{"flip": "OS"}, {"missing": "ignore"}, {"spatial_axis": [1, 2, 3]}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=r"got|equal"):
        HarmonizeLateralityd(**{"keys": list(AXES), "spatial_axis": 1, **options})
