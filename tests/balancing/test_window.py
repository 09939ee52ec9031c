"""The ring of sharpness values against a plain list."""

import math
import statistics

import pytest
import torch

from medmd.balancing._window import SharpnessWindow


def expected_ratios(values, *, size, warmup, eps=1e-12):
    stored, ratios = [], []
    for value in values:
        if not math.isfinite(value):
            ratios.append(1.0)
            continue
        stored.append(value)
        median = statistics.median(stored[-size:])
        ratios.append(value / median if len(stored) > warmup and median > eps else 1.0)
    return ratios


@pytest.mark.parametrize(("size", "warmup"), [(1, 0), (4, 0), (5, 3), (50, 10), (3, 6)])
def test_agrees_with_a_list(size, warmup):
    generator = torch.Generator().manual_seed(size)
    values = (torch.randn(80, generator=generator, dtype=torch.float64) + 0.5).tolist()
    values[7], values[20], values[21] = math.nan, math.inf, -math.inf
    window = SharpnessWindow(size=size, warmup=warmup, eps=1e-12)
    ratios = [window.ratio(torch.tensor(value, dtype=torch.float64)).item() for value in values]
    assert ratios == pytest.approx(expected_ratios(values, size=size, warmup=warmup), rel=1e-12)
    assert window.skipped.item() == 3
    assert window.stored.item() == 77


def test_even_number_takes_the_mean_of_the_middle_two():
    window = SharpnessWindow(size=4, warmup=0, eps=1e-12)
    ratios = [window.ratio(torch.tensor(value)).item() for value in (1.0, 3.0)]
    assert ratios == [1.0, 1.5]


def test_negative_median_is_no_yardstick():
    window = SharpnessWindow(size=4, warmup=0, eps=1e-12)
    assert [window.ratio(torch.tensor(value)).item() for value in (-1.0, -2.0)] == [1.0, 1.0]


def test_another_size_is_refused():
    state = SharpnessWindow(size=4, warmup=0, eps=1e-12).state_dict()
    with pytest.raises(ValueError, match="expected a state of 5 values; got 4"):
        SharpnessWindow(size=5, warmup=0, eps=1e-12).load_state_dict(state)
