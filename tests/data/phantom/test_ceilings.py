"""The ceilings are what they say: exact posterior means and honest accuracy."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from medmd.data.phantom import PhantomCohort
from medmd.data.phantom._ceilings import ceilings, information_share, posterior_mean_md
from medmd.data.phantom._clinic import MdScale

INFORMATION = {"oct": 0.8, "fundus": 0.6}


@pytest.mark.parametrize("names", [("oct",), ("fundus",), ("oct", "fundus")])
@pytest.mark.parametrize("tail", [0.0, 1.0, 2.0])
def test_posterior_mean_is_the_integral_of_bayes_rule(names, tail):
    scale = MdScale(tail)
    severity = np.linspace(-7, 7, 40_001)
    md = scale(severity)
    for shown in (-1.7, 0.0, 1.1, 2.4):
        summaries = {name: shown + 0.3 * k for k, name in enumerate(names)}
        density = norm.pdf(severity)
        for name, value in summaries.items():
            share = INFORMATION[name]
            density *= norm.pdf(value, np.sqrt(share) * severity, np.sqrt(1 - share))
        expected = trapezoid(md * density, severity) / trapezoid(density, severity)
        assert posterior_mean_md(summaries, INFORMATION, scale) == pytest.approx(expected, abs=0.01)


def test_without_information_the_posterior_is_the_prior():
    scale = MdScale()
    prior = posterior_mean_md({"oct": np.array([-2.0, 0.0, 2.0])}, {"oct": 0.0}, scale)
    mean = scale(norm.ppf((np.arange(200_000) + 0.5) / 200_000)).mean()
    np.testing.assert_allclose(prior, mean, atol=0.02)


def test_no_flexible_model_beats_the_posterior_mean():
    cohort = PhantomCohort(5000, 11, both_eyes=0.0)
    features = np.array([[eye.summaries["oct"], eye.summaries["fundus"]] for eye in cohort.eyes])
    target = np.array([eye.measured_md for eye in cohort.eyes])
    ceiling = np.array([reference["information"] for reference in cohort.references])
    half = len(target) // 2
    model = HistGradientBoostingRegressor(max_depth=3, learning_rate=0.05, random_state=0)
    fitted = model.fit(features[:half], target[:half]).predict(features[half:])
    reached = r2_score(target[half:], fitted)
    best = r2_score(target[half:], ceiling[half:])
    assert best - 0.04 < reached < best + 0.005


def test_ceilings_agree_with_scikit_learn_and_rank_as_they_must():
    cohort = PhantomCohort(3000, 12)
    rows = cohort.ceilings()
    target = [eye.measured_md for eye in cohort.eyes]
    for name, row in rows.items():
        prediction = [reference[name] for reference in cohort.references]
        assert row["eyes"] == 3000
        assert row["r2"] == pytest.approx(r2_score(target, prediction), abs=1e-4)
        assert row["rmse"] == pytest.approx(root_mean_squared_error(target, prediction), abs=1e-4)
        assert row["mae"] == pytest.approx(mean_absolute_error(target, prediction), abs=1e-4)
    r2 = {name: row["r2"] for name, row in rows.items()}
    assert r2["label_noise"] > r2["information"] > r2["information_oct"] > r2["information_fundus"] > 0
    # A single field against the truth: about 0.9 dB, as repeated fields show.
    assert rows["label_noise"]["mae"] == pytest.approx(0.85, abs=0.1)


def test_a_lacking_modality_has_no_reference_and_leaves_the_rest():
    cohort = PhantomCohort(400, 13, missing={"fundus": 0.4})
    for eye, reference in zip(cohort.eyes, cohort.references, strict=True):
        assert ("information_fundus" in reference) == ("fundus" not in eye.missing)
        if "fundus" in eye.missing:
            assert reference["information"] == reference["information_oct"]
    assert cohort.ceilings()["information_fundus"]["eyes"] < 400


def test_one_eye_has_no_r2():
    row = ceilings([-3.0], [{"label_noise": -2.0}])["label_noise"]
    assert row == {"eyes": 1, "rmse": 1.0, "mae": 1.0}


def test_information_share_of_independent_errors():
    assert information_share([0.5]) == pytest.approx(0.5)
    assert information_share([0.5, 0.5]) == pytest.approx(2 / 3)
    assert information_share([0.7, 0.0]) == pytest.approx(0.7)
