import math
import time

import numpy as np
import pytest

from medmd.metrics import STATISTICS, clustered_bootstrap, regression_metrics, resample_weights
from medmd.utils import MedmdError


def cohort(patients=40, seed=0, predictors=2):
    rng = np.random.default_rng(seed)
    names = np.repeat([f"p{row:03d}" for row in range(patients)], 2)
    target = np.repeat(2.0 - rng.gamma(1.2, 6.0, patients), 2) + rng.normal(0, 1, 2 * patients)
    # The error is shared by the eyes of a patient: this is what clustering is about.
    shared = np.repeat(rng.normal(0, 1.5, (predictors, patients)), 2, axis=1)
    predictions = {f"m{k}": target + shared[k] + rng.normal(0, 0.7, len(target)) for k in range(predictors)}
    return target, predictions, names


def brute_force(target, prediction, patients, *, replicates, seed):
    """Copies the rows of the drawn patients and measures them, one replicate after the other."""
    weights = resample_weights(patients, replicates=replicates, seed=seed).astype(int)
    kept = ~np.isnan(prediction)
    rows = [np.repeat(np.flatnonzero(kept), times[kept]) for times in weights]
    return [regression_metrics(target[chosen], prediction[chosen], on_undefined="ignore") for chosen in rows]


def test_equals_brute_force_on_the_same_resamples():
    target, predictions, patients = cohort()
    predictions["m1"][::5] = np.nan
    found = clustered_bootstrap(target, predictions, patients, seed=7, replicates=300)
    for name, prediction in predictions.items():
        drawn = brute_force(target, prediction, patients, replicates=300, seed=7)
        for statistic in STATISTICS:
            interval = found[name][statistic]
            ends = np.quantile([replicate[statistic] for replicate in drawn], [0.025, 0.975])
            assert (interval.low, interval.high) == pytest.approx(tuple(ends), rel=1e-9, abs=1e-12)
            assert interval.estimate == regression_metrics(target, prediction)[statistic]
            assert interval.n + interval.dropped == len(target)


def test_clustered_intervals_are_wider_than_those_that_take_eyes_for_patients():
    target, predictions, patients = cohort(200)
    clustered = clustered_bootstrap(target, predictions, patients, seed=1, statistics=["bias"])["m0"]["bias"]
    by_eye = clustered_bootstrap(target, predictions, range(len(target)), seed=1, statistics=["bias"])["m0"]["bias"]
    assert (clustered.high - clustered.low) > 1.2 * (by_eye.high - by_eye.low)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        shared = np.repeat(rng.normal(0.5, 2, 40), 2) + rng.normal(0, 1, 80)
        target = np.zeros(80)
        interval = clustered_bootstrap(
            target, {"m": shared}, np.repeat(range(40), 2), seed=seed, replicates=400, statistics=["bias"]
        )["m"]["bias"]
        hits += interval.low <= 0.5 <= interval.high
    # Binomial(200, 0.93): five standard deviations.
    assert 0.84 <= hits / 200 <= 0.995


def test_order_of_rows_does_not_matter():
    target, predictions, patients = cohort()
    order = np.random.default_rng(3).permutation(len(target))
    first = clustered_bootstrap(target, predictions, patients, seed=2, replicates=100)
    shuffled = {name: values[order] for name, values in predictions.items()}
    second = clustered_bootstrap(target[order], shuffled, patients[order], seed=2, replicates=100)
    for name in predictions:
        for statistic in STATISTICS:
            assert first[name][statistic] == pytest.approx(second[name][statistic], rel=1e-9)


def test_repeats_bit_for_bit_and_depends_on_the_seed():
    target, predictions, patients = cohort()
    first = clustered_bootstrap(target, predictions, patients, seed=2, replicates=100)
    assert first == clustered_bootstrap(target, predictions, patients, seed=2, replicates=100)
    assert first != clustered_bootstrap(target, predictions, patients, seed=3, replicates=100)


def test_rows_without_a_target_count_nowhere():
    target, predictions, patients = cohort()
    longer = np.append(target, np.nan)
    more = {name: np.append(values, 1.0) for name, values in predictions.items()}
    found = clustered_bootstrap(longer, more, [*patients, "zz"], seed=2, replicates=50)
    assert found == clustered_bootstrap(target, predictions, patients, seed=2, replicates=50)


def test_stacked_seeds_give_the_mean_over_seeds_and_groups_widen_the_interval():
    target, _, patients = cohort(80)
    rng = np.random.default_rng(5)
    # Seeds differ strongly from one another, so that the choice of seeds matters.
    runs = [target + offset + rng.normal(0, 1, len(target)) for offset in (-3.0, -1.0, 0.0, 1.0, 3.0)]
    stacked = np.tile(target, 5), {"m": np.concatenate(runs)}, np.tile(patients, 5)
    seeds = np.repeat(range(5), len(target))
    fixed = clustered_bootstrap(*stacked, seed=1, replicates=500, statistics=["mae", "r2"])["m"]
    crossed = clustered_bootstrap(*stacked, seed=1, replicates=500, statistics=["mae", "r2"], groups=seeds)["m"]
    for statistic in ("mae", "r2"):
        alone = [regression_metrics(target, run)[statistic] for run in runs]
        assert fixed[statistic].estimate == pytest.approx(np.mean(alone))
        assert crossed[statistic].high - crossed[statistic].low > fixed[statistic].high - fixed[statistic].low
    assert fixed["mae"].patients == 80
    assert fixed["mae"].n == 5 * len(target)


def test_bca_uses_the_jackknife_over_patients():
    target, predictions, patients = cohort()
    percentile = clustered_bootstrap(target, predictions, patients, seed=1)["m0"]["r2"]
    bca = clustered_bootstrap(target, predictions, patients, seed=1, method="bca")["m0"]["r2"]
    assert bca.estimate == percentile.estimate
    assert (bca.low, bca.high) != (percentile.low, percentile.high)
    assert bca.low < bca.estimate < bca.high


def test_one_patient_has_an_estimate_but_no_interval():
    found = clustered_bootstrap([-1.0, -2.0], {"m": [-1.5, -2.5]}, ["a", "a"], seed=0, replicates=20)["m"]["mae"]
    assert found.estimate == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_undefined_statistics_are_nan_without_a_warning():
    target, _, patients = cohort()
    found = clustered_bootstrap(target, {"c": np.full(len(target), -5.0)}, patients, seed=0, replicates=50)["c"]
    assert math.isnan(found["pearson"].estimate)
    assert found["pearson"].valid == 0
    assert found["r2"].valid == 50
    absent = clustered_bootstrap(target, {"x": np.full(len(target), np.nan)}, patients, seed=0, replicates=50)["x"]
    assert all(math.isnan(value.estimate) and value.n == 0 for value in absent.values())


def test_lengths_and_infinities_are_checked():
    with pytest.raises(ValueError, match="same length"):
        clustered_bootstrap([1.0, 2.0], {"m": [1.0]}, ["a", "b"], seed=0)
    with pytest.raises(ValueError, match="same length"):
        clustered_bootstrap([1.0, 2.0], {"m": [1.0, 2.0]}, ["a"], seed=0)
    with pytest.raises(MedmdError, match="prediction 'm'"):
        clustered_bootstrap([1.0], {"m": [np.inf]}, ["a"], seed=0)


def test_ten_predictors_of_a_thousand_cases_take_seconds_at_most():
    target, predictions, patients = cohort(500, predictors=10)
    start = time.process_time()
    clustered_bootstrap(target, predictions, patients, seed=0)
    # 1.1 s where it was written; a loop over resamples takes minutes.
    assert time.process_time() - start < 10


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_no_target_at_all_gives_nan(method):
    found = clustered_bootstrap([np.nan], {"m": [1.0]}, ["a"], seed=0, replicates=5, method=method)["m"]
    assert all(math.isnan(value.low) and value.n == 0 for value in found.values())
