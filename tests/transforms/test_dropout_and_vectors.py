"""Dropout never leaves an eye without a modality and keeps its rate; vectors are standardised and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medmd.transforms import RandModalityDropoutd, StandardizeVectord
from medmd.utils import MedmdError

NAMES = ["oct", "fundus", "rnfl"]


@given(st.sets(st.sampled_from(NAMES)), st.floats(0, 1), st.integers(0, 2**31 - 1))
def test_at_least_one_present_modality_stays(names, prob, seed):
    item = {"case_id": "c1", **dict.fromkeys(names, 1)}
    kept = RandModalityDropoutd(NAMES, prob).set_random_state(seed)(item)
    assert kept["case_id"] == "c1"
    assert set(kept) <= set(item)
    assert bool(names & set(kept)) == bool(names)
    assert item == {"case_id": "c1", **dict.fromkeys(names, 1)}


def test_certain_and_impossible_dropout():
    item = dict.fromkeys(NAMES, 1)
    assert RandModalityDropoutd(NAMES, 0.0)(item) == item
    always = RandModalityDropoutd(NAMES, 1.0).set_random_state(0)
    lasting = [next(iter(always(item))) for _ in range(300)]
    assert {len(always(item)) for _ in range(20)} == {1}
    # The one that stays is any of the three, equally often.
    np.testing.assert_allclose([lasting.count(name) / 300 for name in NAMES], 1 / 3, atol=0.09)


def test_rates_are_those_asked_for():
    drop = RandModalityDropoutd(NAMES, [0.1, 0.4, 0.0]).set_random_state(1)
    kept = [drop(dict.fromkeys(NAMES, 1)) for _ in range(3000)]
    shares = [sum(name not in item for item in kept) / 3000 for name in NAMES]
    np.testing.assert_allclose(shares, [0.1, 0.4, 0.0], atol=0.03)


def test_an_explicitly_null_modality_does_not_count_as_the_last_one():
    drop = RandModalityDropoutd(NAMES, 1.0).set_random_state(0)
    for _ in range(20):
        assert drop({"oct": 1, "fundus": None, "rnfl": None})["oct"] == 1


@pytest.mark.parametrize("prob", [-0.1, 1.1, [0.5, 2.0, 0.5]])
def test_a_probability_outside_its_range_is_refused(prob):
    with pytest.raises(ValueError, match="prob must lie in"):
        RandModalityDropoutd(NAMES, prob)


def test_vectors_are_standardised_and_back():
    transform = StandardizeVectord(["rnfl", "other"], [80, 100], [10, 20], allow_missing_keys=True)
    item = transform({"rnfl": [90, 60]})
    assert torch.equal(item["rnfl"], torch.tensor([1.0, -2.0]))
    assert torch.equal(transform.inverse(item)["rnfl"], torch.tensor([90.0, 60.0]))
    with pytest.raises(KeyError, match="rnfl"):
        StandardizeVectord("rnfl", [1], [1])({})


@pytest.mark.parametrize("vector", [[1, 2, 3], 5.0, [1, None], "file.txt"])
def test_another_vector_names_the_case(vector):
    with pytest.raises(MedmdError, match="case 'c1': 'rnfl'"):
        StandardizeVectord("rnfl", [80, 100], [10, 20])({"case_id": "c1", "rnfl": vector})


@pytest.mark.parametrize(("mean", "std"), [([1], [1, 2]), ([1], [0]), ([1], [-1])])
def test_unusable_constants_are_refused(mean, std):
    with pytest.raises(ValueError, match="positive std"):
        StandardizeVectord("rnfl", mean, std)
