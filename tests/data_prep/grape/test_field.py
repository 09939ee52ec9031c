import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.grape import BLIND_SPOT, POINTS, mean_sensitivity
from data_prep.grape._field import field_fault


@given(st.lists(st.integers(-1, 40), min_size=POINTS, max_size=POINTS))
def test_equals_numpy_over_the_tested_points(values):
    expected = np.clip(np.delete(np.array(values, float), BLIND_SPOT), 0, None).mean()
    assert mean_sensitivity(values) == pytest.approx(expected, abs=1e-12)


def test_the_blind_spot_does_not_count_and_unseen_points_count_as_zero():
    field = [-1] * POINTS
    assert mean_sensitivity(field) == 0
    for point in BLIND_SPOT:
        field[point] = 40
    assert mean_sensitivity(field) == 0
    field[0] = 59
    assert mean_sensitivity(field) == 1


def test_another_number_of_points_is_refused():
    with pytest.raises(ValueError, match="expected 61 sensitivities, got 54"):
        mean_sensitivity([20] * 54)


@pytest.mark.parametrize(
    ("point", "value", "fault"),
    [
        (21, 20.0, "point 21 is the blind spot: expected -1, got 20"),
        (32, 0.0, "point 32 is the blind spot"),
        (5, 41.0, "point 5: expected -1 or 0 to 40 dB, got 41"),
        (5, -2.0, "got -2"),
        (5, -0.5, "got -0.5"),
    ],
)
def test_a_field_that_contradicts_the_layout_has_a_fault(point, value, fault):
    field = [20.0] * POINTS
    field[21] = field[32] = -1.0
    assert field_fault(field) is None
    field[point] = value
    assert fault in field_fault(field)


def test_missing_values_are_no_fault():
    assert field_fault([None] * POINTS) is None
