import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare

from medmd.metrics import compare_ranks, critical_difference


@given(st.integers(0, 1000), st.integers(2, 12), st.integers(3, 6), st.booleans())
def test_friedman_is_that_of_scipy(seed, blocks, size, ties):
    scores = np.random.default_rng(seed).normal(size=(blocks, size))
    scores[:, 0] -= 0.5
    if ties:
        scores[0, 1] = scores[0, 0]
    found, expected = compare_ranks(scores), friedmanchisquare(*scores.T)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.blocks == blocks
    assert found.ranks.sum() == pytest.approx(size * (size + 1) / 2)


@pytest.mark.parametrize(("size", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_has_the_quantiles_of_the_published_table(size, quantile):
    # Demsar 2006, table 5(a), level 0.05.
    expected = quantile * np.sqrt(size * (size + 1) / (6 * 14))
    assert critical_difference(size, 14) == pytest.approx(expected, rel=5e-4)


def test_higher_is_better_turns_the_ranks():
    scores = [[0.1, 0.5, 0.9], [0.2, 0.3, 0.4]]
    assert compare_ranks(scores).ranks.tolist() == [1, 2, 3]
    assert compare_ranks(scores, higher_is_better=True).ranks.tolist() == [3, 2, 1]


def test_groups_join_what_lies_within_the_critical_difference():
    ladder = np.tile(np.arange(6.0), (10, 1))
    found = compare_ranks(ladder)
    assert 2 < found.critical_difference < 3
    assert found.groups == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert compare_ranks(np.tile([0.0, 1.0], (30, 1))).groups == []


def test_all_tied_is_no_difference():
    found = compare_ranks(np.ones((4, 3)))
    assert (found.statistic, found.p_value) == (0.0, 1.0)
    assert found.groups == [[0, 1, 2]]


@pytest.mark.parametrize("scores", [[1.0, 2.0], [[1.0]], [[1.0, np.nan]], np.zeros((0, 2))])
def test_what_is_no_table_of_scores_is_refused(scores):
    with pytest.raises(ValueError, match="finite numbers of shape"):
        compare_ranks(scores)
