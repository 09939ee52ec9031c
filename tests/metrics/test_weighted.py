import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medmd.metrics import STATISTICS, regression_metrics, weighted_statistics

# Few different values: ties, constant resamples and equal errors are common.
value = st.sampled_from([-20.0, -6.0, -5.5, -1.0, 0.0, 0.1, 2.0])
case = st.tuples(value, value, st.lists(st.integers(0, 3), min_size=4, max_size=4))


@settings(max_examples=150, deadline=None)
@given(st.lists(case, min_size=1, max_size=9))
def test_a_row_of_weights_is_the_sample_with_repeated_cases(cases):
    target, prediction = (np.array([c[k] for c in cases]) for k in (0, 1))
    weights = np.array([c[2] for c in cases], dtype=float).T
    found = weighted_statistics(target, prediction, weights)
    for row, times in enumerate(weights.astype(int)):
        expected = regression_metrics(target.repeat(times), prediction.repeat(times), on_undefined="ignore")
        got = {name: found[name][row] for name in STATISTICS}
        assert got == pytest.approx({name: expected[name] for name in STATISTICS}, abs=1e-9, nan_ok=True)


def test_realistic_resamples_agree_to_rounding():
    rng = np.random.default_rng(0)
    target = 2.0 - rng.gamma(1.2, 6.0, 300)
    prediction = target + rng.normal(0, 2, 300)
    weights = rng.integers(0, 4, (20, 300)).astype(float)
    found = weighted_statistics(target, prediction, weights)
    for row, times in enumerate(weights.astype(int)):
        expected = regression_metrics(target.repeat(times), prediction.repeat(times))
        for name in STATISTICS:
            assert found[name][row] == pytest.approx(expected[name], rel=1e-11, abs=1e-12)


def test_a_far_offset_costs_no_digits():
    rng = np.random.default_rng(0)
    target = rng.normal(0, 1, 60) + 1e7
    prediction = target + rng.normal(0, 0.5, 60)
    found = weighted_statistics(target, prediction, np.ones((1, 60)))
    assert found["r2"][0] == pytest.approx(regression_metrics(target, prediction)["r2"], rel=1e-6)


def test_only_what_is_asked_for_in_that_order():
    found = weighted_statistics(np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.ones((2, 2)), ["spearman", "mae"])
    assert list(found) == ["spearman", "mae"]


def test_unknown_statistic_is_named():
    with pytest.raises(ValueError, match="got auc"):
        weighted_statistics(np.array([1.0]), np.array([1.0]), np.ones((1, 1)), ["auc"])


def test_no_case_at_all_is_nan():
    found = weighted_statistics(np.zeros(0), np.zeros(0), np.ones((3, 0)))
    assert all(np.isnan(values).all() and values.shape == (3,) for values in found.values())
