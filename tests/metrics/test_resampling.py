import numpy as np
import pytest

from medmd.metrics import resample_weights
from medmd.metrics._resampling import Resampling


def test_rows_of_a_patient_are_drawn_together_and_as_many_patients_as_there_are():
    patients = ["a", "b", "a", "c", "c", "c"]
    weights = resample_weights(patients, replicates=500, seed=1)
    assert weights.shape == (500, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_draws_have_the_moments_of_the_multinomial():
    weights = resample_weights(range(20), replicates=20_000, seed=2)
    assert weights.mean() == pytest.approx(1.0)
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 20, rel=0.02)
    assert np.corrcoef(weights.T)[0, 1] == pytest.approx(-1 / 19, abs=0.02)


def test_seed_decides_and_order_of_rows_does_not():
    patients = np.array(["a", "b", "c", "d"])
    first = resample_weights(patients, replicates=50, seed=3)
    assert (first == resample_weights(patients, replicates=50, seed=3)).all()
    assert (first != resample_weights(patients, replicates=50, seed=4)).any()
    order = np.array([2, 0, 3, 1])
    assert (first[:, order] == resample_weights(patients[order], replicates=50, seed=3)).all()


def test_blocks_make_up_all_weights():
    patients = [f"p{row // 2}" for row in range(3000)]
    resampling = Resampling(patients, replicates=100, seed=0)
    blocks = list(resampling.blocks())
    assert len(blocks) > 1
    assert (np.concatenate([weights for _, weights in blocks]) == resampling.weights()).all()


def test_crossed_groups_multiply():
    patients, seeds = ["a", "a", "b", "b"], [0, 1, 0, 1]
    both = resample_weights(patients, groups=seeds, replicates=200, seed=5)
    alone = resample_weights(patients, replicates=200, seed=5)
    of_seed = resample_weights(seeds, replicates=200, seed=5)
    # Two patients, and one of two seeds.
    assert both.sum(axis=1) == pytest.approx(np.full(200, 2.0))
    assert (both * (alone == 0) == 0).all()
    assert of_seed.shape == both.shape


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_mean_over_drawn_groups_varies_as_the_usual_estimate_says(count):
    values = np.array([1.0, 4.0, -2.0, 0.5, 7.0])[:count]
    weights = resample_weights(["p"] * count, groups=range(count), replicates=40_000, seed=2)
    means = weights @ values / weights.sum(axis=1)
    assert np.var(means) == pytest.approx(np.var(values, ddof=1) / count, rel=0.03)


def test_without_each_patient():
    ((rows, weights),) = Resampling(["b", "a", "b"], replicates=1, seed=0).without_each_patient()
    assert rows == slice(0, 2)
    assert weights.tolist() == [[1, 0, 1], [0, 1, 0]]
    many = [f"p{row}" for row in range(500)]
    blocks = list(Resampling(many, replicates=1, seed=0).without_each_patient())
    assert len(blocks) > 1
    assert (np.concatenate([part for _, part in blocks]).sum(axis=0) == 499).all()


def test_no_rows_and_no_replicates():
    assert resample_weights([], replicates=3, seed=0).shape == (3, 0)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        resample_weights(["a"], replicates=0, seed=0)
