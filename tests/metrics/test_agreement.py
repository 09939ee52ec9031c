import math

import numpy as np
import pytest
from scipy import stats

from medmd.metrics import bland_altman, calibration_line


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = 2.0 - rng.gamma(1.2, 6.0, 80)
    return target, 0.6 * target - 2.0 + rng.normal(0, 1.5, 80)


def test_bland_altman_by_definition(pair):
    target, prediction = pair
    found = bland_altman(target, prediction)
    difference = prediction - target
    sd = np.std(difference, ddof=1)
    assert found["bias"] == pytest.approx(difference.mean())
    assert (found["lower"], found["upper"]) == pytest.approx(
        (difference.mean() - 1.96 * sd, difference.mean() + 1.96 * sd)
    )
    assert found["slope"] == pytest.approx(stats.linregress((prediction + target) / 2, difference).slope)
    # This prediction is drawn to the mean.
    assert found["slope"] < 0


def test_about_95_percent_of_normal_differences_lie_within_the_limits():
    rng = np.random.default_rng(1)
    target = rng.normal(0, 5, 20_000)
    prediction = target + rng.normal(0.5, 2, 20_000)
    found = bland_altman(target, prediction)
    inside = (prediction - target > found["lower"]) & (prediction - target < found["upper"])
    assert inside.mean() == pytest.approx(0.95, abs=0.006)


def test_calibration_line_is_the_regression_of_measured_on_predicted(pair):
    target, prediction = pair
    line = stats.linregress(prediction, target)
    assert calibration_line(target, prediction) == pytest.approx({"slope": line.slope, "intercept": line.intercept})


def test_degenerate_input_gives_nan():
    assert math.isnan(calibration_line([1.0, 2.0], [3.0, 3.0])["slope"])
    assert all(math.isnan(value) for value in bland_altman([], []).values())
    one = bland_altman([1.0], [3.0])
    assert one["bias"] == 2.0
    assert math.isnan(one["sd"])
    assert math.isnan(one["lower"])
