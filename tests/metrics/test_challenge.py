import math

import numpy as np
import pytest
from sklearn.metrics import r2_score

from medmd.metrics import UndefinedMetricWarning, smape, stage_challenge_score


def test_smape_by_hand():
    # 2*1/3, 2*2/2 (other sign: the worst, 2), 0/0 counts 0.
    assert smape([1.0, -1.0, 0.0], [2.0, 1.0, 0.0]) == pytest.approx((2 / 3 + 2.0 + 0.0) / 3)


def test_smape_is_symmetric_and_free_of_units():
    rng = np.random.default_rng(0)
    a, b = rng.normal(-5, 4, 50), rng.normal(-5, 4, 50)
    assert smape(a, b) == pytest.approx(smape(b, a))
    assert smape(3 * a, 3 * b) == pytest.approx(smape(a, b))
    assert 0 <= smape(a, b) <= 2


def test_score_is_ten_when_perfect_and_follows_the_formula():
    rng = np.random.default_rng(0)
    target = rng.normal(-5, 4, 50)
    prediction = target + rng.normal(0, 1, 50)
    assert stage_challenge_score(target, target) == pytest.approx(10.0)
    ratio = np.mean(2 * np.abs(prediction - target) / (np.abs(prediction) + np.abs(target)))
    expected = 0.5 / (ratio + 0.1) + 5 * r2_score(target, prediction)
    assert stage_challenge_score(target, prediction) == pytest.approx(expected)


def test_undefined_is_nan_with_a_warning():
    with pytest.warns(UndefinedMetricWarning, match="smape"):
        assert math.isnan(smape([], []))
    with pytest.warns(UndefinedMetricWarning, match="R2 needs two cases"):
        assert math.isnan(stage_challenge_score([-3.0, -3.0], [-2.0, -4.0]))
