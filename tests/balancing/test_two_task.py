"""The two-task solvers against TorchJD, SciPy and their defining equations."""

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn
from torchjd import aggregation

from medmd.balancing import MGDA, CAGrad, Losses, NashMTL, PCGrad


class Linear(nn.Module):
    """Losses <mm, w> and <uni, w> of one encoder, whose gradients are therefore `mm` and `uni`; and a head."""

    def __init__(self, mm, uni):
        super().__init__()
        self.w = nn.Parameter(torch.zeros_like(mm))
        self.head = nn.Parameter(torch.zeros((), dtype=mm.dtype))
        self.mm, self.uni = mm, uni

    def encoder_parameters(self):
        return {"oct": [self.w]}

    def shared_parameters(self):
        return [self.w]

    def closure(self):
        return Losses(self.mm @ self.w + 2 * self.head, {"oct": self.uni @ self.w + 3 * self.head})


def step(balancer, mm, uni):
    model = Linear(mm, uni)
    log = balancer.backward(model, model.closure)
    assert model.head.grad.item() == pytest.approx(5)  # the plain sum, whatever happens on the encoders
    return model.w.grad, log


@pytest.fixture(params=range(20))
def pair(request):
    generator = torch.Generator().manual_seed(request.param)
    scale = 10.0 ** (request.param % 5 - 2)
    mm = torch.randn(7, generator=generator, dtype=torch.float64)
    return mm, scale * (torch.randn(7, generator=generator, dtype=torch.float64) - 0.5 * (request.param % 3) * mm)


def test_pcgrad_is_torchjds(pair):
    torch.testing.assert_close(step(PCGrad(), *pair)[0], aggregation.PCGrad()(torch.stack(pair)))


def test_mgda_is_torchjds(pair):
    expected = aggregation.MGDA(epsilon=1e-12, max_iters=1000)(torch.stack(pair))
    torch.testing.assert_close(step(MGDA(scale="mean"), *pair)[0], expected, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(step(MGDA(), *pair)[0], 2 * expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("c", [0.0, 0.1, 0.4, 0.9])
def test_cagrad_is_the_numerical_minimum(pair, c):
    mm, uni = pair
    mean = (mm + uni) / 2

    def mix(w):
        return w * mm + (1 - w) * uni

    found = minimize_scalar(
        lambda w: float(mix(w) @ mean + c * mean.norm() * mix(w).norm()),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-13},
    )
    worst = mix(found.x)
    expected = mean + c * mean.norm() * worst / worst.norm()
    got = step(CAGrad(c=c, rescale=False, scale="mean"), mm, uni)[0]
    # The objective is flat at its minimum, so that SciPy's point is known to the root of the machine's precision.
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6 * float(expected.norm()))
    torch.testing.assert_close(step(CAGrad(c=c), mm, uni)[0], 2 * got / (1 + c * c))


def test_cagrad_stays_in_its_ball_and_helps_the_worse_objective(pair):
    mm, uni = pair
    mean = (mm + uni) / 2
    got = step(CAGrad(c=0.4, rescale=False, scale="mean"), mm, uni)[0]
    assert (got - mean).norm() <= 0.4 * mean.norm() * (1 + 1e-12)
    assert min(got @ mm, got @ uni) >= min(mean @ mm, mean @ uni) - 1e-12


def test_nash_solves_the_bargain(pair):
    """G Gᵀ a = 1 / a."""
    mm, uni = pair
    got = step(NashMTL(max_norm=None), mm, uni)[0]
    matrix = torch.stack([mm, uni])
    weights = torch.linalg.lstsq(matrix.T, got[:, None]).solution.flatten()
    torch.testing.assert_close(matrix @ matrix.T @ weights, 1 / weights)


def test_nash_shortens_what_is_longer_than_its_bound(pair):
    free = step(NashMTL(max_norm=None), *pair)[0]
    bound = step(NashMTL(max_norm=1.0), *pair)[0]
    torch.testing.assert_close(bound, free * min(1.0, 1 / float(free.norm())))


@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 150.0, 179.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_step_of_nash_has_one_length(degrees, scale):
    """Whatever the angle and the lengths; nearly opposite gradients alone make it shorter."""
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    mm = torch.tensor([3.0, 0.0], dtype=torch.float64)
    uni = scale * torch.stack([angle.cos(), angle.sin()])
    assert step(NashMTL(max_norm=None), mm, uni)[0].norm().item() == pytest.approx(2**0.5)
    assert step(NashMTL(), mm, uni)[0].norm().item() == pytest.approx(1.0)
    assert step(NashMTL(), mm, -mm + torch.tensor([0.0, 0.01]))[0].norm() < 1


@pytest.mark.parametrize(("length", "expected"), [(5.0, 1.0), (0.5, 0.5)])
def test_nash_keeps_its_bound_where_one_gradient_is_zero(length, expected):
    mm, none = torch.tensor([0.6, 0.8], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for first, second in ((length * mm, none), (none, length * mm)):
        got, log = step(NashMTL(), first, second)
        torch.testing.assert_close(got, expected * mm)
        assert log["alpha_fusion"] == 0.5


@pytest.mark.parametrize("scale", [1e-12, 1e-10, 1.0, 1e10, 1e12])
def test_the_cosine_of_tiny_and_huge_gradients(scale):
    """Squared lengths fit into float32, their product does not."""
    mm, uni = torch.tensor([3.0, 4.0]) * scale, torch.tensor([-4.0, 0.0]) * scale
    _, log = step(PCGrad(), mm, uni)
    assert log["cosine"].item() == pytest.approx(-0.6)
    assert log["conflict"] == 1


BALANCERS = [PCGrad(), MGDA(), CAGrad(), NashMTL(max_norm=None)]


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda each: type(each).__name__)
def test_one_zero_gradient_leaves_the_other(balancer):
    mm, none = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for first, second in ((mm, none), (none, mm)):
        got, log = step(balancer, first, second)
        torch.testing.assert_close(got, mm)
        assert log["conflict"] == 0


@pytest.mark.parametrize("balancer", BALANCERS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("factor", [1.0, -1.0, -2.0])
def test_parallel_gradients_give_numbers(balancer, factor):
    mm = torch.tensor([3.0, 4.0], dtype=torch.float64)
    got, log = step(balancer, mm, factor * mm)
    assert got.isfinite().all()
    assert log["cosine"].item() == pytest.approx(1.0 if factor > 0 else -1.0)
    assert log["conflict"] == (factor < 0)


@pytest.mark.parametrize("balancer", [PCGrad(), MGDA(), CAGrad(c=0.9)], ids=lambda each: type(each).__name__)
def test_the_weights_of_the_losses_count(balancer, pair):
    mm, uni = pair
    weighed = type(balancer)(unimodal_weights={"oct": 0.3})
    model = Linear(mm, uni)
    weighed.backward(model, model.closure)
    torch.testing.assert_close(model.w.grad, step(type(balancer)(), mm, 0.3 * uni)[0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CAGrad(c=1.0), "c: expected"),
        (lambda: CAGrad(scale="max"), "scale"),
        (lambda: MGDA(scale="max"), "scale"),
        (lambda: NashMTL(max_norm=0), "max_norm"),
        (lambda: NashMTL(eps=0), "eps"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()
