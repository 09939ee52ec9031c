"""The distribution of MD is the clinic's, its tail is a knob, and noise grows with damage."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from medmd.data.phantom import PhantomCohort
from medmd.data.phantom._clinic import (
    MD_RANGE,
    UWHVF_EYE_CORRELATION,
    UWHVF_PROBABILITIES,
    UWHVF_QUANTILES,
    MdScale,
    clinic_quantiles,
    noise_sd,
)

INNER = [k for k, p in enumerate(UWHVF_PROBABILITIES) if 0.01 <= p <= 0.99]


@pytest.fixture(scope="module")
def many():
    return PhantomCohort(6_000, 5, both_eyes=0.0).eyes


def test_true_and_measured_md_follow_the_clinic(many):
    probabilities = [UWHVF_PROBABILITIES[k] for k in INNER]
    clinic = np.array([UWHVF_QUANTILES[k] for k in INNER])
    severity = norm.ppf((np.arange(40_001) + 0.5) / 40_001)
    np.testing.assert_allclose(np.quantile(MdScale()(severity), probabilities), clinic, atol=0.02)
    measured = np.quantile([eye.measured_md for eye in many], probabilities)
    # Three standard errors of a sample quantile beside the 0.6 dB that the noise of one field may move it.
    slope = np.gradient(clinic, probabilities)
    allowed = 0.6 + 3 * slope * np.sqrt(np.multiply(probabilities, np.subtract(1, probabilities)) / len(many))
    assert (np.abs(measured - clinic) < allowed).all()


def test_measured_md_is_long_tailed_and_in_range(many):
    md = np.array([eye.measured_md for eye in many])
    skew = ((md - md.mean()) ** 3).mean() / md.std() ** 3
    assert -2.1 < skew < -1.5
    assert md.min() >= MD_RANGE[0]
    assert md.max() <= MD_RANGE[1]


def test_noise_grows_with_damage_as_stated(many):
    true = np.array([eye.true_md for eye in many])
    error = np.array([eye.measured_md for eye in many]) - true
    for low, high, expected in [(-3, 6, 0.75), (-13, -10, 1.375), (-40, -20, 2.0)]:
        chosen = error[(true >= low) & (true < high)]
        assert abs(chosen.mean()) < 4 * expected / np.sqrt(len(chosen))
        assert chosen.std() == pytest.approx(expected, rel=0.1)
    assert noise_sd([0.0, -3.0, -11.5, -20.0, -33.0]).tolist() == pytest.approx([0.75, 0.75, 1.375, 2.0, 2.0])
    assert (np.diff(noise_sd(np.linspace(-35, 5, 99))) <= 0).all()


def test_md_falls_with_severity_for_every_tail():
    severity = np.linspace(-3.9, 3.9, 301)
    for tail in (0.0, 0.5, 1.0, 1.5, 2.0):
        md = MdScale(tail)(severity)
        assert (np.diff(md) <= 0).all()
        assert md.min() > -36.01
        assert MdScale(tail)(0.0) == pytest.approx(UWHVF_QUANTILES[12], abs=1e-6)


def test_tail_zero_is_symmetric_and_a_longer_tail_reaches_lower():
    lower = np.array([0.01, 0.05, 0.2, 0.4])
    none = clinic_quantiles(lower, tail=0.0)
    median = clinic_quantiles(0.5)
    np.testing.assert_allclose(median - none, clinic_quantiles(1 - lower) - median, atol=1e-9)
    by_tail = [clinic_quantiles(0.05, tail=tail) for tail in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert (np.diff(by_tail) < -1).all()
    for tail in (0.0, 2.0):
        np.testing.assert_allclose(clinic_quantiles(1 - lower, tail=tail), clinic_quantiles(1 - lower), atol=1e-9)


@pytest.mark.real_data
def test_constants_are_those_of_uwhvf():
    folder = os.environ.get("MEDMD_REAL_DATA")
    if not folder:
        pytest.skip("MEDMD_REAL_DATA is not set")
    import pandas as pd

    rows = pd.read_csv(Path(folder) / "uwhvf" / "Series_Summary.csv")
    kept = rows[(rows.Baseline_Age >= 18) & (rows.Baseline_MS <= 40) & rows.Baseline_MTD.between(-40, 6)]
    assert len(kept) == 7358
    assert kept.PatID.nunique() == 3837
    np.testing.assert_allclose(np.quantile(kept.Baseline_MTD, UWHVF_PROBABILITIES), UWHVF_QUANTILES, atol=0.005)
    pairs = kept.pivot_table(index="PatID", columns="Eye", values="Baseline_MTD").dropna()
    assert len(pairs) == 3521
    assert spearmanr(pairs.Left, pairs.Right).statistic == pytest.approx(UWHVF_EYE_CORRELATION, abs=0.005)
