import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from medmd.metrics import CORRECTIONS, correct_p_values

LISTS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(LISTS)
def test_benjamini_hochberg_is_that_of_scipy(values):
    np.testing.assert_allclose(correct_p_values(values, "bh"), false_discovery_control(values), rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.2], [0.2]),
        ([0.5, 0.5], [1.0, 1.0]),
        ([0.001, 0.9, 0.02], [0.003, 0.9, 0.04]),
    ],
)
def test_holm_by_hand(values, expected):
    np.testing.assert_allclose(correct_p_values(values), expected)


@given(LISTS)
def test_holm_rejects_what_its_steps_reject(values):
    # Holm's procedure as it was published: step down until the first that is not small enough.
    level, order = 0.05, np.argsort(values, kind="stable")
    rejected = set()
    for step, at in enumerate(order):
        if values[at] * (len(values) - step) > level:
            break
        rejected.add(int(at))
    assert set(np.flatnonzero(correct_p_values(values) <= level)) == rejected


@given(LISTS, st.sampled_from(CORRECTIONS))
def test_corrected_values_are_no_smaller_keep_their_order_and_ignore_what_is_undefined(values, method):
    corrected = correct_p_values(values, method)
    assert (corrected >= np.asarray(values) * (1 - 1e-12)).all()
    assert (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(values, kind="stable")]) >= 0).all()
    with_hole = correct_p_values([*values, np.nan], method)
    np.testing.assert_array_equal(with_hole[:-1], corrected)
    assert np.isnan(with_hole[-1])


def test_nothing_to_correct():
    assert correct_p_values([]).tolist() == []
    assert correct_p_values([0.01, 0.02], "none").tolist() == [0.01, 0.02]


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ValueError, match="holm, bh, none"):
        correct_p_values([0.1], "bonferroni")
    with pytest.raises(ValueError, match="between 0 and 1"):
        correct_p_values([1.1])
