import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.report import severity_strata


def test_clinical_limits_by_the_rule_that_minus_six_is_early():
    target = np.array([2.0, -6.0, -6.01, -12.0, -12.01, -30.0, np.nan])
    strata = severity_strata(target)
    assert [stratum.name for stratum in strata] == ["better than -6 dB", "-6 to -12 dB", "worse than -12 dB"]
    assert [stratum.rows.tolist() for stratum in strata] == [
        [True, True, False, False, False, False, False],
        [False, False, True, True, False, False, False],
        [False, False, False, False, True, True, False],
    ]


@given(st.lists(st.one_of(st.floats(-40, 6), st.just(-6.0)), max_size=30), st.integers(1, 5), st.booleans())
def test_every_case_stands_in_exactly_one_stratum(target, groups, md):
    strata = severity_strata(np.array(target), target_name="md" if md else "age", groups=groups)
    counts = np.sum([stratum.rows for stratum in strata], axis=0) if strata else 0
    assert np.all(counts == 1) or not target


@pytest.mark.parametrize(("name", "unit"), [("age", "years"), ("md", "percent"), ("MD", "")])
def test_other_targets_get_quantiles(name, unit):
    target = np.arange(90.0)
    strata = severity_strata(target, target_name=name, unit=unit)
    assert [int(stratum.rows.sum()) for stratum in strata] == [30, 30, 30]
    assert strata[0].rows[:30].all()


def test_equal_targets_and_none():
    (only,) = severity_strata(np.full(4, 3.0), target_name="age", unit="years")
    assert only.name == "3 to 3 years"
    assert only.rows.all()
    assert severity_strata(np.array([np.nan]), target_name="age") == []
