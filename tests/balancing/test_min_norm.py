"""The closed form against a numerical minimum and TorchJD's solver."""

import pytest
import torch
from scipy.optimize import minimize_scalar
from torchjd.aggregation import MGDA, PCGrad

from medmd.balancing import min_norm_weight


@pytest.fixture(params=range(20))
def pair(request):
    generator = torch.Generator().manual_seed(request.param)
    scale = 10.0 ** (request.param % 5 - 2)
    mm = torch.randn(7, generator=generator, dtype=torch.float64)
    return mm, scale * (torch.randn(7, generator=generator, dtype=torch.float64) - 0.5 * (request.param % 3) * mm)


def test_is_the_minimum(pair):
    mm, uni = pair
    found = minimize_scalar(
        lambda a: float((a * mm + (1 - a) * uni).square().sum()),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-12},
    )
    assert min_norm_weight(mm, uni).item() == pytest.approx(found.x, abs=1e-5)


def test_is_torchjds_mgda(pair):
    mm, uni = pair
    weight = min_norm_weight(mm, uni)
    expected = MGDA(epsilon=1e-12, max_iters=1000)(torch.stack([mm, uni]))
    torch.testing.assert_close(weight * mm + (1 - weight) * uni, expected, rtol=1e-6, atol=1e-9)


def test_shortest_vector_descends_for_both_in_a_conflict(pair):
    mm, uni = pair
    if mm @ uni >= 0:
        uni = uni - 1.5 * (mm @ uni) / (mm @ mm) * mm
    weight = min_norm_weight(mm, uni)
    mixed = weight * mm + (1 - weight) * uni
    assert 0 < weight < 1
    torch.testing.assert_close(mixed @ mm, mixed @ uni, rtol=1e-9, atol=1e-12)
    # PCGrad, another public remedy, points the same way within a right angle.
    assert PCGrad()(torch.stack([mm, uni])) @ mixed > 0


def test_swapping_gives_the_complement(pair):
    mm, uni = pair
    assert (min_norm_weight(mm, uni) + min_norm_weight(uni, mm)).item() == pytest.approx(1, abs=1e-12)


def test_equal_and_zero_vectors():
    ones, zeros = torch.ones(3), torch.zeros(3)
    assert min_norm_weight(ones, ones).item() == 0.5
    assert min_norm_weight(zeros, zeros).item() == 0.5
    assert min_norm_weight(ones, zeros).item() == 0.0


@pytest.mark.parametrize("shapes", [((2, 2), (2, 2)), ((3,), (4,))])
def test_shapes(shapes):
    with pytest.raises(ValueError, match="flat vectors"):
        min_norm_weight(*(torch.ones(shape) for shape in shapes))
