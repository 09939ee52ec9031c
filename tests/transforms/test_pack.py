"""A packed item has the promised keys, types and shapes, and errors name the case."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import DataLoader, MetaTensor

from medmd.transforms import PackInputsd
from medmd.utils import MedmdError

SHAPES = {"oct": [1, 2, 3, 4], "fundus": [3, 5, 6], "rnfl": [4]}


def item(*names):
    values = {
        "oct": MetaTensor(torch.arange(24.0).reshape(1, 2, 3, 4)),
        "fundus": np.ones((3, 5, 6), dtype=np.uint8),
        "rnfl": [1.0, 2, 3, 4],
    }
    return {"case_id": "c1", "patient_id": "p1", "target": -3.5, "age": 60, **{name: values[name] for name in names}}


@given(st.sets(st.sampled_from(list(SHAPES)), min_size=1))
def test_every_subset_of_modalities_packs_to_the_same_form(names):
    packed = PackInputsd(keys=list(SHAPES), shapes=SHAPES)(item(*names))
    assert list(packed) == [*SHAPES, "present", "target", "case_id"]
    assert packed["present"].dtype == torch.bool
    assert packed["present"].tolist() == [name in names for name in SHAPES]
    for name, shape in SHAPES.items():
        assert type(packed[name]) is torch.Tensor
        assert (packed[name].dtype, list(packed[name].shape)) == (torch.float32, shape)
        expected = np.asarray(item(name)[name]) if name in names else 0.0
        np.testing.assert_array_equal(packed[name].numpy(), np.broadcast_to(expected, shape))


@pytest.mark.parametrize(
    ("value", "expected"), [(-3.5, -3.5), (np.float64(2), 2.0), (None, math.nan), (math.nan, math.nan)]
)
def test_target_is_a_number_or_nan(value, expected):
    packed = PackInputsd("rnfl", {"rnfl": [4]})({**item("rnfl"), "target": value})
    assert packed["target"].shape == ()
    assert packed["target"].dtype == torch.float32
    np.testing.assert_equal(packed["target"].item(), expected)


def test_absent_target_and_explicitly_null_modality_are_absent():
    data = {**item("oct"), "rnfl": None}
    del data["target"]
    packed = PackInputsd(["oct", "rnfl"], {"oct": [1, 2, 3, 4], "rnfl": [4]})(data)
    assert math.isnan(packed["target"])
    assert packed["present"].tolist() == [True, False]


def test_a_packed_item_does_not_share_memory_with_the_cache():
    data = item("oct")
    packed = PackInputsd("oct", {"oct": [1, 2, 3, 4]})(data)
    packed["oct"].zero_()
    assert data["oct"].sum() == 276


def test_items_with_different_modalities_collate():
    pack = PackInputsd(keys=list(SHAPES), shapes=SHAPES)
    batch = next(iter(DataLoader([pack(item("oct")), pack(item("rnfl", "fundus"))], batch_size=2)))
    assert type(batch["oct"]) is torch.Tensor
    assert batch["present"].tolist() == [[True, False, False], [False, True, True]]
    assert batch["case_id"] == ["c1", "c1"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"oct": torch.zeros(1, 4, 3, 2)},
            r"case 'c1': modality 'oct' has shape \(1, 4, 3, 2\), expected \(1, 2, 3, 4\)",
        ),
        ({"oct": torch.full((1, 2, 3, 4), math.nan)}, "case 'c1': modality 'oct' holds NaN"),
        ({"oct": torch.full((1, 2, 3, 4), math.inf)}, "case 'c1': modality 'oct' holds NaN or infinite"),
        ({"oct": "scan.nii.gz"}, "case 'c1': modality 'oct' is a str, expected a tensor.*loading"),
        ({"rnfl": [1.0, None, 2.0, 3.0], "oct": None}, "holds NaN"),
        ({"target": "mild"}, "case 'c1': 'target' is 'mild'"),
        ({"oct": None}, r"case 'c1': none of the modalities \['oct', 'fundus', 'rnfl'\]"),
    ],
)
def test_errors_name_case_and_modality(change, text):
    with pytest.raises(MedmdError, match=text):
        PackInputsd(keys=list(SHAPES), shapes=SHAPES)({**item("oct"), **change})


def test_finite_values_that_would_overflow_a_float32_sum_are_accepted():
    data = {"case_id": "c1", "rnfl": [3e38, 3e38, 3e38, 3e38]}
    assert PackInputsd("rnfl", {"rnfl": [4]})(data)["rnfl"][0] == torch.tensor(3e38)


def test_shapes_must_name_the_keys():
    with pytest.raises(ValueError, match="shapes must name the keys"):
        PackInputsd(["oct", "fundus"], {"oct": [1, 2, 3, 4]})


def test_an_item_without_a_pseudonym_still_gets_a_readable_error():
    with pytest.raises(MedmdError, match="a case without case_id"):
        PackInputsd("oct", {"oct": [1]})({"oct": [1.0, 2.0]})
