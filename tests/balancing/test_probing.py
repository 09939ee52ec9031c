"""A probe sees what the first forward pass saw and leaves nothing behind."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from medmd.balancing import ForwardState, probing


class Noisy(nn.Module):
    """Draws from three generators and counts its calls in a buffer that it replaces."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("nothing", None)

    def forward(self, x):
        self.calls = self.calls + 1
        noise = torch.randn(()) + np.random.rand() + random.random()  # noqa: S311 - not a secret
        return self.norm(x) * noise + self.calls

    def encoder_parameters(self):
        return {"oct": list(self.parameters())}

    def shared_parameters(self):
        return list(self.parameters())


def state(model):
    return (
        [b.clone() for b in model.buffers()],
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
    )


def assert_same(first, second):
    for a, b in zip(first[0], second[0], strict=True):
        assert torch.equal(a, b)
    assert torch.equal(first[1], second[1])
    assert (first[2] == second[2]).all()
    assert first[3] == second[3]


def test_repeats_the_first_pass_and_leaves_no_trace():
    model, x = Noisy(), torch.randn(6, 4)
    before = ForwardState.capture(model)
    first = model(x)
    after = state(model)
    for _ in range(2):
        with probing(model, before):
            again = model(x)
            assert not again.requires_grad
        torch.testing.assert_close(again, first.detach(), rtol=0, atol=0)
        assert_same(state(model), after)
    assert model.calls.item() == 1


def test_without_a_capture_it_starts_where_it_is():
    model, x = Noisy(), torch.randn(6, 4)
    with probing(model):
        first = model(x)
    with probing(model):
        torch.testing.assert_close(model(x), first, rtol=0, atol=0)
    assert model.calls.item() == 0


def test_restores_after_an_exception():
    model, x = Noisy(), torch.randn(6, 4)
    before = state(model)
    with pytest.raises(RuntimeError, match="shape"), probing(model):
        model(x) @ torch.ones(3, 3)
    assert_same(state(model), before)


def test_autocast_is_off_inside():
    model = Noisy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with probing(model):
            assert not torch.is_autocast_enabled("cpu")
        assert torch.is_autocast_enabled("cpu")


def test_a_model_that_is_no_module_has_no_buffers():
    class Bare:
        def parameters(self):
            return []

    with probing(Bare()):
        assert not torch.is_grad_enabled()


def test_the_generator_of_an_accelerator_is_kept_too(monkeypatch):
    """A stand-in for the device's module, as no accelerator is at hand."""
    state_of = {"cuda:0": torch.tensor([1]), "mps": torch.tensor([2])}

    class Fake:
        def __init__(self, device):
            self.kind = torch.device(device).type

        def get_rng_state(self, *device):
            assert (len(device) == 0) == (self.kind == "mps")
            return state_of["mps" if self.kind == "mps" else str(device[0])].clone()

        def set_rng_state(self, new, *device):
            state_of["mps" if self.kind == "mps" else str(device[0])] = new

    class Model:
        def __init__(self, device):
            self.device = torch.device(device)

        def parameters(self):
            return [self]

    monkeypatch.setattr(torch, "get_device_module", Fake)
    for name, first in (("cuda:0", 1), ("mps", 2)):
        before = ForwardState.capture(Model(name))
        state_of[name] = torch.tensor([99])
        before.restore()
        assert state_of[name].item() == first
