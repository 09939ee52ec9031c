"""Weights of several predictors, against a general optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from medmd.metrics import blend, blend_weights


def _objective(weights, target, predictions, shrinkage):
    error = np.mean((target - predictions @ weights) ** 2)
    return error + shrinkage * target.var() * np.sum((weights - 1 / len(weights)) ** 2)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(3, 60), k=st.integers(1, 5), shrinkage=st.sampled_from([0.0, 0.01, 1.0])
)
def test_no_other_point_of_the_simplex_is_better(seed, n, k, shrinkage):
    random = np.random.default_rng(seed)
    target = random.normal(-5, 4, n)
    predictions = target[:, None] + random.normal(0, random.uniform(0.1, 6, k), (n, k)) + random.normal(0, 1, k)
    found = blend_weights(target, predictions, shrinkage=shrinkage)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()

    value = _objective(found, target, predictions, shrinkage)
    reference = minimize(
        _objective,
        np.full(k, 1 / k),
        (target, predictions, shrinkage),
        method="SLSQP",
        bounds=[(0, 1)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert value <= reference.fun + 1e-6 * max(1, reference.fun)


def test_a_perfect_predictor_gets_all_the_weight():
    target = np.arange(10.0)
    predictions = np.stack([target, target[::-1], np.full(10, 4.5)], axis=1)
    np.testing.assert_allclose(blend_weights(target, predictions), [1, 0, 0], atol=1e-6)


def test_shrinkage_ends_in_equal_weights():
    random = np.random.default_rng(0)
    target = random.normal(size=20)
    predictions = np.stack([target, -target], axis=1)
    np.testing.assert_allclose(blend_weights(target, predictions, shrinkage=np.inf), [0.5, 0.5])
    loose, tight = (blend_weights(target, predictions, shrinkage=value)[0] for value in (1.0, 100.0))
    assert 0.5 < tight < loose < 1


def test_a_missing_predictor_leaves_its_share_to_the_others():
    predictions = np.array([[1.0, 3.0, 5.0], [1.0, np.nan, 5.0], [np.nan, np.nan, np.nan], [np.nan, 2.0, np.nan]])
    np.testing.assert_allclose(blend(predictions, [0.5, 0.25, 0.25]), [2.5, (0.5 + 1.25) / 0.75, np.nan, 2.0])
    assert np.isnan(blend(predictions, [1.0, 0.0, 0.0])[3])


@pytest.mark.parametrize(
    ("target", "predictions", "options", "words"),
    [
        ([1.0], [1.0], {}, "expected"),
        ([1.0, 2.0], [[1.0]], {}, "expected"),
        ([], np.zeros((0, 2)), {}, "expected"),
        ([np.nan], [[1.0]], {}, "finite"),
        ([1.0], [[np.inf]], {}, "finite"),
        ([1.0], [[1.0]], {"shrinkage": -1}, "shrinkage"),
        ([1.0], [[1.0]], {"shrinkage": float("nan")}, "shrinkage"),
    ],
)
def test_bad_input(target, predictions, options, words):
    with pytest.raises(ValueError, match=words):
        blend_weights(target, predictions, **options)
