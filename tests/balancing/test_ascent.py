"""SAM, ASAM, ImbSAM and SSE-SAM against their formulas, written out."""

import copy

import pytest
import torch
from torch import nn

from medmd.balancing import ASAM, SAM, SSESAM, ImbSAM, Losses, UniformSum


class Quadratic(nn.Module):
    """Rows of (x_i w - y_i)² without BatchNorm, so that formulas can be written out."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(8, 5, generator=generator, dtype=torch.float64)
        self.y = torch.randn(8, generator=generator, dtype=torch.float64)
        self.w = nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))

    def encoder_parameters(self):
        return {"oct": [self.w]}

    def shared_parameters(self):
        return [self.w]

    def rows(self, w):
        return (self.x @ w - self.y).square() / 8

    def closure(self, tail):
        def run():
            rows = self.rows(self.w)
            return Losses(rows.sum(), {}, per_sample=rows, tail=tail)

        return run


TAIL = torch.tensor([True, False, False, True, False, False, False, False])


def gradient(model, w, part):
    w = w.detach().clone().requires_grad_()
    return torch.autograd.grad((model.rows(w) * part).sum(), w)[0]


def uphill(w, g, rho):
    return w.detach() + rho * g / g.norm()


def test_sam():
    model = Quadratic()
    log = SAM(rho=0.3).backward(model, model.closure(TAIL))
    every = torch.ones(8)
    there = uphill(model.w, gradient(model, model.w, every), 0.3)
    torch.testing.assert_close(model.w.grad, gradient(model, there, every))
    assert log["sharpness"].item() == pytest.approx((model.rows(there).sum() - model.rows(model.w).sum()).item())


def test_asam():
    model = Quadratic()
    ASAM(rho=0.3).backward(model, model.closure(TAIL))
    g, w = gradient(model, model.w, torch.ones(8)), model.w.detach()
    there = w + 0.3 * w.square() * g / (w * g).norm()
    torch.testing.assert_close(model.w.grad, gradient(model, there, torch.ones(8)))


def test_asam_does_not_see_the_scale_of_a_weight():
    """With x halved and w doubled the function is the same; the move then is, too."""
    model = Quadratic()
    other = copy.deepcopy(model)
    other.x = other.x / 2
    with torch.no_grad():
        other.w.mul_(2)
    found = [ASAM(rho=0.4).backward(each, each.closure(TAIL))["sharpness"] for each in (model, other)]
    torch.testing.assert_close(*found)


def test_imb_sam():
    model = Quadratic()
    log = ImbSAM(rho=0.3).backward(model, model.closure(TAIL))
    tail, head = TAIL.double(), (~TAIL).double()
    there = uphill(model.w, gradient(model, model.w, tail), 0.3)
    torch.testing.assert_close(model.w.grad, gradient(model, model.w, head) + gradient(model, there, tail))
    assert (log["loss_head"] + log["loss_tail"]).item() == pytest.approx(log["loss"].item())


def test_sse_sam_and_its_switch():
    model, balancer = Quadratic(), SSESAM(rho_head=0.2, rho_tail=0.3, switch_after=1)
    tail, head = TAIL.double(), (~TAIL).double()
    up_tail = gradient(model, uphill(model.w, gradient(model, model.w, tail), 0.3), tail)
    up_head = gradient(model, uphill(model.w, gradient(model, model.w, head), 0.2), head)
    first = balancer.backward(model, model.closure(TAIL))
    torch.testing.assert_close(model.w.grad, up_head + up_tail)
    assert "sharpness_head" in first
    second = balancer.backward(model, model.closure(TAIL))
    torch.testing.assert_close(model.w.grad, gradient(model, model.w, head) + up_tail)
    assert "sharpness_head" not in second


@pytest.mark.parametrize("balancer", [ImbSAM(rho=0.5), SSESAM(switch_after=1)])
def test_a_batch_without_rare_cases_is_a_plain_step(toy, balancer):
    model = toy(seed=3)
    other = copy.deepcopy(model)
    if isinstance(balancer, SSESAM):
        balancer.load_state_dict({"iteration": 1})
    torch.manual_seed(0)
    balancer.backward(model, model.closure(tail=-torch.inf))
    torch.manual_seed(0)
    UniformSum().backward(other, other.closure())
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-12, atol=1e-14)


def test_a_vanishing_radius_is_a_plain_step(toy):
    model = toy(seed=3)
    other = copy.deepcopy(model)
    torch.manual_seed(0)
    SAM(rho=1e-9).backward(model, model.closure())
    torch.manual_seed(0)
    UniformSum().backward(other, other.closure())
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("make", "passes"), [(SAM, 2), (ASAM, 2), (ImbSAM, 2), (SSESAM, 3)])
def test_forward_passes(toy, make, passes):
    model = toy()
    make().backward(model, model.closure())
    assert model.calls == passes


@pytest.mark.parametrize("make", [ImbSAM, SSESAM])
def test_losses_that_tell_no_rare_cases_are_refused(make):
    model = Quadratic()

    def closure():
        return Losses(model.rows(model.w).sum(), {})

    with pytest.raises(ValueError, match="tail_threshold"):
        make().backward(model, closure)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SAM(rho=0), "rho"),
        (lambda: ASAM(eps=0), "eps"),
        (lambda: ImbSAM(rho=-1), "rho"),
        (lambda: SSESAM(rho_head=0), "rho_head"),
        (lambda: SSESAM(rho_tail=0), "rho_tail"),
        (lambda: SSESAM(switch_after=0), "switch_after"),
    ],
)
def test_wrong_arguments(make, words):
    with pytest.raises(ValueError, match=words):
        make()
