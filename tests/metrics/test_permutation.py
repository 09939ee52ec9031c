from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medmd.metrics import permutation_test, regression_metrics
from medmd.utils import MedmdError


def data(n=12, seed=0, shift=0.0):
    generator = np.random.default_rng(seed)
    target = generator.normal(-5, 4, n)
    first = target + generator.normal(0, 1.0, n)
    return target, {"a": first, "b": target + shift + generator.normal(0, 1.5, n)}


def paired(x, y, axis):
    return np.mean(x - y, axis=axis)


@pytest.mark.parametrize("statistic", ["mse", "mae"])
def test_without_clusters_it_is_the_paired_permutation_test_of_scipy(statistic):
    target, columns = data()
    losses = [(np.abs(values - target)) ** (2 if statistic == "mse" else 1) for values in columns.values()]
    expected = stats.permutation_test(losses, paired, permutation_type="samples", n_resamples=np.inf)
    found = permutation_test(target, columns, range(12), seed=0, statistic=statistic)["a", "b"]
    assert found.exact
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.estimate == pytest.approx(expected.statistic)
    assert (found.n, found.patients, found.dropped, found.permutations) == (12, 12, 0, 2**11)


@pytest.mark.parametrize("statistic", ["mse", "mae", "rmse", "r2"])
def test_clustered_it_is_every_exchange_of_labels_by_patient_written_out(statistic):
    target, columns = data(14)
    patients = np.repeat(np.arange(7), 2)

    def difference(swapped):
        swap = np.asarray(swapped)[patients]
        pair = np.where(swap, columns["b"], columns["a"]), np.where(swap, columns["a"], columns["b"])
        first, second = (regression_metrics(target, values)[statistic] for values in pair)
        return first - second

    seen = difference([False] * 7)
    everything = [abs(difference(swapped)) for swapped in product([False, True], repeat=7)]
    found = permutation_test(target, columns, patients, seed=0, statistic=statistic)["a", "b"]
    assert found.estimate == pytest.approx(seen)
    assert found.p_value == np.mean(np.array(everything) >= abs(seen) - 1e-12)


def test_drawn_patterns_come_near_all_of_them_and_never_give_zero():
    target, columns = data(13, shift=1.0)
    exact = permutation_test(target, columns, range(13), seed=0)["a", "b"]
    drawn = permutation_test(target, columns, range(13), seed=0, permutations=3999)["a", "b"]
    assert exact.exact
    assert not drawn.exact
    assert drawn.permutations == 4000
    assert drawn.p_value == pytest.approx(exact.p_value, abs=4 * np.sqrt(exact.p_value / 4000))
    far = {"a": np.zeros(60), "b": np.full(60, 9.0)}
    assert permutation_test(np.zeros(60), far, range(60), seed=0, permutations=99)["a", "b"].p_value == 0.01


def test_the_same_seed_gives_the_same_p_value_and_the_order_of_a_pair_does_not_matter():
    target, columns = data(40, shift=0.5)
    pairs = [("a", "b"), ("b", "a")]
    found = permutation_test(target, columns, range(40), seed=3, pairs=pairs)
    assert found == permutation_test(target, columns, range(40), seed=3, pairs=pairs)
    assert found["a", "b"].p_value == found["b", "a"].p_value
    assert found["a", "b"].estimate == -found["b", "a"].estimate


def test_rows_are_compared_where_both_predict():
    target, columns = data()
    columns["b"] = columns["b"].copy()
    columns["b"][:3] = np.nan
    target[11] = np.nan
    found = permutation_test(target, columns, range(12), seed=0)["a", "b"]
    kept = {name: values[3:11] for name, values in columns.items()}
    alone = permutation_test(target[3:11], kept, range(8), seed=0)["a", "b"]
    assert (found.n, found.patients, found.dropped) == (8, 8, 3)
    assert (found.estimate, found.p_value) == pytest.approx((alone.estimate, alone.p_value))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=9))
def test_error_rate_counts_unequal_classes(rows):
    target, first, second = np.array(rows, dtype=float).T
    found = permutation_test(target, {"a": first, "b": second}, range(len(rows)), seed=0, statistic="error_rate")
    wrong = (first != target).sum() - (second != target).sum()
    decided = ((first != target) != (second != target)).sum()
    # Sign flips of +-1 are McNemar's exact test.
    assert found["a", "b"].estimate == pytest.approx(wrong / len(rows))
    assert found["a", "b"].p_value == pytest.approx(
        stats.binomtest(int((decided + wrong) // 2), int(decided)).pvalue if decided else 1.0
    )


def test_equal_predictors_and_undefined_statistics():
    target, columns = data()
    same = permutation_test(target, {"a": columns["a"], "b": columns["a"]}, range(12), seed=0)["a", "b"]
    assert (same.estimate, same.p_value) == (0.0, 1.0)
    constant = permutation_test(np.zeros(12), columns, range(12), seed=0, statistic="r2")["a", "b"]
    assert np.isnan([constant.estimate, constant.p_value]).all()
    one = permutation_test(target, columns, [1] * 12, seed=0)["a", "b"]
    assert np.isnan(one.p_value)
    assert permutation_test(target, columns, range(12), seed=0, pairs=[]) == {}


def test_all_pairs_in_the_order_of_the_predictions():
    target, columns = data()
    columns["c"] = columns["a"] + 1
    assert list(permutation_test(target, columns, range(12), seed=0)) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_what_cannot_be_used_is_refused():
    target, columns = data()
    with pytest.raises(ValueError, match="statistic must be one of"):
        permutation_test(target, columns, range(12), seed=0, statistic="rmsle")
    with pytest.raises(ValueError, match="permutations"):
        permutation_test(target, columns, range(12), seed=0, permutations=0)
    with pytest.raises(ValueError, match="pairs must name"):
        permutation_test(target, columns, range(12), seed=0, pairs=[("a", "z")])
    with pytest.raises(ValueError, match="length"):
        permutation_test(target, columns, range(11), seed=0)
    with pytest.raises(MedmdError, match="infinite"):
        permutation_test(target, {"a": [np.inf] * 12, "b": target}, range(12), seed=0)


def stacked(patients, seeds, *, generator, seed_sd, patient_sd=1.0, noise=1.0, effect=0.0):
    """Loss differences with random patients, seeds and interaction, as two predictors of a target of zeros."""
    difference = (
        effect
        + generator.normal(0, patient_sd, (patients, 1))
        + generator.normal(0, seed_sd, (1, seeds))
        + generator.normal(0, noise, (patients, seeds))
    )
    first = 100.0 + difference.ravel()
    who, when = np.repeat(np.arange(patients), seeds), np.tile(np.arange(seeds), patients)
    return np.zeros(first.size), {"a": first, "b": np.full(first.size, 100.0)}, who, when


def sizes(repeats, *, crossed, seeds=5, seed_sd=1.0, patients=40, level=0.05):
    generator = np.random.default_rng(11)
    rejected = 0
    for repeat in range(repeats):
        target, columns, who, when = stacked(patients, seeds, generator=generator, seed_sd=seed_sd)
        found = permutation_test(
            target,
            columns,
            who,
            seed=repeat,
            statistic="mae",
            permutations=299,
            groups=when if crossed else None,
        )
        rejected += found["a", "b"].p_value <= level
    return rejected / repeats


def test_one_seed_is_the_test_without_groups():
    target, columns = data(10)
    alone = permutation_test(target, columns, range(10), seed=0)
    assert permutation_test(target, columns, range(10), seed=0, groups=["s"] * 10)["a", "b"].estimate == (
        alone["a", "b"].estimate
    )
    assert permutation_test(target, columns, range(10), seed=0, groups=["s"] * 10)["a", "b"].p_value == pytest.approx(
        alone["a", "b"].p_value
    )


def test_the_spread_of_seeds_is_not_taken_for_a_difference():
    # Without the seeds' factor, a difference between five lucky and five unlucky trainings passes for one of methods.
    assert sizes(150, crossed=False) > 0.3
    assert sizes(150, crossed=True) < 0.14


def test_without_spread_of_seeds_the_size_is_held():
    assert sizes(200, crossed=True, seed_sd=0.0) < 0.09
    assert 0.01 < sizes(200, crossed=False, seed_sd=0.0, seeds=1) < 0.09


def test_a_difference_is_found():
    generator = np.random.default_rng(0)
    target, columns, who, when = stacked(60, 5, generator=generator, seed_sd=0.2, effect=1.0)
    assert permutation_test(target, columns, who, seed=0, statistic="mae", groups=when)["a", "b"].p_value < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "seed_sd", "most"), [(5, 0.0, 0.06), (5, 0.3, 0.09), (5, 1.0, 0.13), (10, 1.0, 0.09)]
)
def test_the_size_of_the_crossed_test(seeds, seed_sd, most):
    assert sizes(1500, crossed=True, seeds=seeds, seed_sd=seed_sd) < most
