import math

import numpy as np
import pytest

from medmd.metrics import clustered_bootstrap, paired_difference, regression_metrics, resample_weights


def cohort(patients=60, seed=0):
    rng = np.random.default_rng(seed)
    names = np.repeat([f"p{row:03d}" for row in range(patients)], 2)
    target = 2.0 - rng.gamma(1.2, 6.0, 2 * patients)
    hard = rng.normal(0, 3, len(target))
    return (
        target,
        {"base": target + hard, "better": target + 0.8 * hard, "other": target + rng.normal(0, 3, len(target))},
        names,
    )


def test_equals_brute_force_on_the_cases_that_both_predict():
    target, predictions, patients = cohort()
    predictions["better"][:7] = np.nan
    predictions["base"][5:9] = np.nan
    found = paired_difference(target, predictions, patients, baseline="base", seed=4, replicates=200)
    weights = resample_weights(patients, replicates=200, seed=4).astype(int)
    for name in ("better", "other"):
        common = np.flatnonzero(~np.isnan(predictions[name] + predictions["base"]))
        differences = {statistic: [] for statistic in found[name]}
        for times in weights:
            rows = np.repeat(common, times[common])
            a, b = (regression_metrics(target[rows], predictions[who][rows]) for who in (name, "base"))
            for statistic, values in differences.items():
                values.append(a[statistic] - b[statistic])
        for statistic, values in differences.items():
            got = found[name][statistic]
            assert (got.low, got.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=1e-8, abs=1e-10)
            assert got.n == len(common)


def test_a_paired_difference_is_known_better_than_either_predictor():
    target, predictions, patients = cohort()
    alone = clustered_bootstrap(target, predictions, patients, seed=1, statistics=["mae"])
    difference = paired_difference(target, predictions, patients, baseline="base", seed=1, statistics=["mae"])
    # The intervals of the two overlap, yet "better" is better for sure.
    assert alone["better"]["mae"].high > alone["base"]["mae"].low
    assert difference["better"]["mae"].high < 0
    assert difference["better"]["mae"].p_value < 0.01
    assert set(difference) == {"better", "other"}


def test_equal_predictors_do_not_differ():
    target, predictions, patients = cohort()
    predictions["same"] = predictions["base"].copy()
    found = paired_difference(target, predictions, patients, baseline="base", seed=1, replicates=100)["same"]
    assert all(value[:4] == (0.0, 0.0, 0.0, 1.0) for value in found.values())


def test_p_values_are_about_uniform_when_there_is_no_difference():
    rng = np.random.default_rng(0)
    small = 0
    for seed in range(200):
        target = rng.normal(0, 5, 60)
        pair = {"a": target + rng.normal(0, 2, 60), "b": target + rng.normal(0, 2, 60)}
        found = paired_difference(
            target, pair, np.repeat(range(30), 2), baseline="b", seed=seed, replicates=300, statistics=["mae"]
        )
        small += found["a"]["mae"].p_value < 0.1
    # Binomial(200, 0.1), somewhat too many for 30 patients.
    assert 5 <= small <= 45


def test_bca_and_groups_are_handed_on():
    target, predictions, patients = cohort(30)
    found = paired_difference(
        target, predictions, patients, baseline="base", seed=1, replicates=200, method="bca", groups=[0, 1] * 30
    )
    assert found["other"]["mae"].low < found["other"]["mae"].estimate < found["other"]["mae"].high


def test_one_patient_and_undefined_statistics_have_no_interval():
    found = paired_difference([1.0, 2.0], {"a": [1.0, 3.0], "b": [2.0, 2.0]}, ["p", "p"], baseline="b", seed=0)["a"]
    assert found["mae"].estimate == -0.0
    assert math.isnan(found["mae"].p_value)
    two = paired_difference([1.0, 2.0], {"a": [1.0, 3.0], "b": [2.0, 2.0]}, ["p", "q"], baseline="b", seed=0)["a"]
    assert math.isnan(two["pearson"].p_value)
    assert two["pearson"].valid == 0


def test_unknown_baseline_is_named():
    with pytest.raises(ValueError, match="one of a; got 'b'"):
        paired_difference([1.0], {"a": [1.0]}, ["p"], baseline="b", seed=0)
