import math

import numpy as np
import pytest
from scipy import stats

from medmd.metrics._intervals import interval_ends


def test_percentile_is_the_quantiles_of_the_defined_replicates():
    replicates = np.array([*np.arange(101.0), np.nan, np.nan])
    assert interval_ends(replicates, 50.0, level=0.9) == pytest.approx((5.0, 95.0))


def test_bca_equals_scipy_on_the_same_statistic():
    rng = np.random.default_rng(0)
    sample = rng.lognormal(0, 1, 60)
    result = stats.bootstrap((sample,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(1))
    jackknife = np.array([np.delete(sample, at).mean() for at in range(60)])
    found = interval_ends(result.bootstrap_distribution, sample.mean(), level=0.95, method="bca", jackknife=jackknife)
    assert found == pytest.approx((result.confidence_interval.low, result.confidence_interval.high), rel=1e-9)


def test_bca_without_skewness_or_bias_is_the_percentile():
    replicates = np.linspace(-1, 1, 2001)
    found = interval_ends(replicates, 0.0, level=0.95, method="bca", jackknife=np.array([-1.0, 0.0, 1.0]))
    assert found == pytest.approx(interval_ends(replicates, 0.0, level=0.95), abs=1e-12)


@pytest.mark.parametrize("jackknife", [np.array([2.0, 2.0]), np.array([]), np.array([np.nan])])
def test_bca_at_the_edge_falls_back_to_what_is_known(jackknife):
    replicates = np.array([1.0, 2.0, 3.0])
    low, high = interval_ends(replicates, 2.0, level=0.95, method="bca", jackknife=jackknife)
    assert 1.0 <= low <= high <= 3.0
    # Every replicate above the estimate: the correction would be infinite.
    assert interval_ends(replicates, 0.0, level=0.5, method="bca", jackknife=jackknife) == (1.5, 2.5)


@pytest.mark.parametrize(("replicates", "estimate"), [([np.nan], 1.0), ([1.0, 2.0], np.nan), ([], 1.0)])
def test_nothing_to_take_it_from_is_nan(replicates, estimate):
    assert all(math.isnan(end) for end in interval_ends(np.array(replicates), estimate, level=0.95))
