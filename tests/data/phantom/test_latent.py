"""Each modality's hidden summary carries what its knob says, and both together carry more."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from medmd.data.phantom import PhantomCohort
from medmd.data.phantom._ceilings import information_share
from medmd.data.phantom._latent import SECTOR_WEIGHTS

N = 4000


def columns(cohort):
    severity = np.array([eye.severity for eye in cohort.eyes])
    summaries = {name: np.array([eye.summaries[name] for eye in cohort.eyes]) for name in ("oct", "fundus")}
    return severity, summaries


@pytest.mark.parametrize("information", [{"oct": 0.8, "fundus": 0.6}, {"oct": 0.2, "fundus": 0.9}, {"oct": 0.0}])
def test_summaries_carry_the_information_of_their_knob(information):
    cohort = PhantomCohort(N, 1, information=information, both_eyes=0.0)
    severity, summaries = columns(cohort)
    for name, values in summaries.items():
        share = np.corrcoef(values, severity)[0, 1] ** 2
        assert share == pytest.approx(cohort.information[name], abs=0.04)
        assert values.std() == pytest.approx(1.0, abs=0.03)
    both = np.column_stack(list(summaries.values()))
    together = LinearRegression().fit(both, severity).score(both, severity)
    assert together == pytest.approx(information_share(cohort.information.values()), abs=0.03)
    alone = max(LinearRegression().fit(both[:, [k]], severity).score(both[:, [k]], severity) for k in (0, 1))
    assert together >= alone
    if information == {"oct": 0.8, "fundus": 0.6}:
        assert together > alone + 0.03
    residual = {k: v - np.sqrt(cohort.information[k]) * severity for k, v in summaries.items()}
    assert abs(np.corrcoef(residual["oct"], residual["fundus"])[0, 1]) < 0.04


def test_damage_map_has_severity_as_weighted_mean_and_an_independent_pattern():
    cohort = PhantomCohort(2000, 2)
    damage = np.stack([eye.damage for eye in cohort.eyes])
    pattern = np.stack([eye.pattern for eye in cohort.eyes])
    severity, summaries = columns(cohort)
    np.testing.assert_allclose(damage @ SECTOR_WEIGHTS, severity, atol=1e-12)
    shown = np.stack([eye.shown("fundus") for eye in cohort.eyes])
    np.testing.assert_allclose(shown @ SECTOR_WEIGHTS, summaries["fundus"], atol=1e-12)
    for k in range(6):
        assert abs(np.corrcoef(pattern[:, k], severity)[0, 1]) < 0.08
    # Neighbours in one half of the eye are damaged together more than across the horizontal line.
    correlation = np.corrcoef(pattern.T)
    assert correlation[0, 1] > 0.3 > correlation[1, 4]


def test_severity_is_standard_normal_and_fellow_eyes_are_alike():
    cohort = PhantomCohort(N, 3, both_eyes=1.0)
    severity, _ = columns(cohort)
    assert severity.mean() == pytest.approx(0.0, abs=0.06)
    assert severity.std() == pytest.approx(1.0, abs=0.03)
    right, left = severity[::2], severity[1::2]
    assert spearmanr(right, left).statistic == pytest.approx(0.62, abs=0.04)
    assert {eye.laterality for eye in cohort.eyes[::2]} == {"R"}


def test_share_of_patients_with_both_eyes():
    eyes = PhantomCohort(3000, 4, both_eyes=0.4).eyes
    patients = len({eye.patient for eye in eyes})
    assert len(eyes) / patients == pytest.approx(1.4, abs=0.04)
    assert len({eye.case_id for eye in eyes}) == len(eyes)


def test_an_eye_is_the_same_in_a_larger_cohort_and_another_with_another_seed():
    small, large, other = PhantomCohort(20, 7), PhantomCohort(60, 7), PhantomCohort(20, 8)
    for few, many in zip(small.eyes, large.eyes, strict=False):
        assert few.case_id == many.case_id
        assert few.measured_md == many.measured_md
        np.testing.assert_array_equal(few.pattern, many.pattern)
    assert [eye.measured_md for eye in small.eyes] != [eye.measured_md for eye in other.eyes]


def test_missing_shares_hold_and_no_eye_lacks_both():
    eyes = PhantomCohort(4000, 6, missing={"oct": 0.3, "fundus": 0.5}).eyes
    lacking = {name: np.mean([name in eye.missing for eye in eyes]) for name in ("oct", "fundus")}
    assert all(len(eye.missing) < 2 for eye in eyes)
    # Where both would be lacking the OCT stays.
    assert lacking["fundus"] == pytest.approx(0.5, abs=0.03)
    assert lacking["oct"] == pytest.approx(0.3 * 0.5, abs=0.03)
