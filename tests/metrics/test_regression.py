import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics as oracle

from medmd.metrics import STATISTICS, UndefinedMetricWarning, regression_metrics, undefined_reasons
from medmd.utils import MedmdError


def sample(n=200, seed=0, scale=2.0):
    rng = np.random.default_rng(seed)
    target = 2.0 - rng.gamma(1.2, 6.0, n)
    return target, 0.8 * target - 1.0 + rng.normal(0.0, scale, n)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [2, 3, 17, 500])
def test_equals_scikit_learn_and_scipy(n, seed):
    target, prediction = sample(n, seed)
    found = regression_metrics(target, prediction)
    expected = {
        "mae": oracle.mean_absolute_error(target, prediction),
        "rmse": oracle.root_mean_squared_error(target, prediction),
        "mse": oracle.mean_squared_error(target, prediction),
        "r2": oracle.r2_score(target, prediction),
        "pearson": stats.pearsonr(target, prediction).statistic,
        "spearman": stats.spearmanr(target, prediction).statistic,
        "median_ae": oracle.median_absolute_error(target, prediction),
        "bias": np.mean(prediction - target),
        "n": n,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_spearman_shares_the_ranks_of_ties():
    target, prediction = np.array([1.0, 1, 2, 3, 3, 3]), np.array([2.0, 1, 1, 5, 4, 4])
    expected = stats.spearmanr(target, prediction).statistic
    assert regression_metrics(target, prediction)["spearman"] == pytest.approx(expected, abs=1e-14)


def test_ccc_by_its_definition():
    # Lin (1989): one minus the expected squared distance from the identity over that under independence.
    target, prediction = sample()
    squared = np.mean((target - prediction) ** 2)
    independent = np.mean((target[:, None] - prediction[None, :]) ** 2)
    assert regression_metrics(target, prediction)["ccc"] == pytest.approx(1 - squared / independent, abs=1e-12)


def test_share_within_limits_includes_the_limit():
    found = regression_metrics([0.0, 0.0, 0.0, 1.0, 0.0], [1.0, -2.0, 3.0, 1.0, 3.5])
    assert [found[f"within_{limit}db"] for limit in (1, 2, 3)] == [0.4, 0.6, 0.8]


def test_perfect_prediction():
    target, _ = sample()
    found = regression_metrics(target, target)
    assert all(found[name] == 0 for name in ("mae", "rmse", "mse", "median_ae", "bias"))
    assert all(found[name] == 1 for name in ("r2", "within_1db", "ccc"))
    assert found["pearson"] == pytest.approx(1.0, abs=1e-15)


values = st.floats(-40, 6, allow_nan=False).map(lambda value: round(value, 2))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(2, 30).flatmap(
        lambda n: st.tuples(arrays(float, n, elements=values), arrays(float, n, elements=values))
    )
)
def test_identity_of_mse_r2_and_variance_holds_for_every_predictor(pair):
    target, prediction = pair
    found = regression_metrics(target, prediction, on_undefined="ignore")
    if target.min() == target.max():
        assert math.isnan(found["r2"])
    else:
        assert found["mse"] == pytest.approx((1 - found["r2"]) * np.var(target), rel=1e-9, abs=1e-9)
    assert found["rmse"] ** 2 == pytest.approx(found["mse"], abs=1e-12)
    assert found["mae"] <= found["rmse"] + 1e-12
    if not math.isnan(found["ccc"]) and not math.isnan(found["pearson"]):
        assert abs(found["ccc"]) <= abs(found["pearson"]) + 1e-9


def test_mean_of_batch_r2_is_another_quantity():
    # The pitfall against which metrics are computed once: R2 averaged over batches of 8 is far lower.
    target, prediction = sample(800, scale=4.0)
    whole = regression_metrics(target, prediction)["r2"]
    batches = [regression_metrics(target[at : at + 8], prediction[at : at + 8])["r2"] for at in range(0, 800, 8)]
    assert np.mean(batches) < whole - 0.1


@pytest.mark.parametrize(
    ("target", "prediction", "undefined", "words"),
    [
        ([], [], set(STATISTICS), "no case"),
        ([-3.0], [-4.0], {"r2", "pearson", "spearman", "ccc"}, "one case"),
        ([-3.0, -3.0, -3.0], [-4.0, -2.0, -3.0], {"r2", "pearson", "spearman", "ccc"}, "target is constant"),
        ([-3.0, -5.0, -9.0], [-4.0, -4.0, -4.0], {"pearson", "spearman"}, "prediction is constant"),
        ([0.1] * 7, [0.3] * 7, {"r2", "pearson", "spearman", "ccc"}, "constant"),
        ([np.nan, -1.0], [-1.0, np.nan], set(STATISTICS), "no case"),
    ],
)
def test_undefined_is_nan_with_a_reason_and_never_zero(target, prediction, undefined, words):
    with pytest.warns(UndefinedMetricWarning, match=words):
        found = regression_metrics(target, prediction)
    assert {name for name in STATISTICS if math.isnan(found[name])} == undefined
    assert set(undefined_reasons(target, prediction)) == undefined


def test_defined_input_has_no_reasons():
    assert undefined_reasons(*sample()) == {}


def test_constant_prediction_has_ccc_zero_and_an_r2():
    target, _ = sample()
    found = regression_metrics(target, np.full(200, target.mean()), on_undefined="ignore")
    assert found["ccc"] == pytest.approx(0.0, abs=1e-15)
    assert found["r2"] == pytest.approx(0.0, abs=1e-14)


def test_nan_rows_are_left_out_and_counted():
    target, prediction = sample(50)
    holed = prediction.copy()
    holed[::7] = np.nan
    kept = ~np.isnan(holed)
    assert regression_metrics(target, holed) == regression_metrics(target[kept], prediction[kept])
    assert regression_metrics(target, holed)["n"] == kept.sum()


def test_tiny_and_huge_units_keep_their_digits():
    target, prediction = sample(50)
    expected = regression_metrics(target, prediction)
    for unit in (1e-150, 1e150):
        found = regression_metrics(target * unit, prediction * unit)
        assert found["pearson"] == pytest.approx(expected["pearson"], abs=1e-12)


def test_infinite_prediction_is_refused_with_a_way_out():
    with pytest.raises(MedmdError, match=r"prediction: value 1 is infinite.*diverged"):
        regression_metrics([1.0, 2.0], [1.0, np.inf])


@pytest.mark.parametrize(("target", "prediction"), [([1.0, 2.0], [1.0]), ([[1.0]], [[1.0]])])
def test_wrong_shapes_are_refused(target, prediction):
    with pytest.raises(ValueError, match="must have"):
        regression_metrics(target, prediction)


def test_importing_does_not_import_torch():
    code = "import sys, medmd.metrics; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
