"""A second look at the same forward pass that leaves no trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medmd.balancing._balancer import BalancedModel


@dataclass(frozen=True)
class ForwardState:
    """What a forward pass reads and changes besides the weights: buffers and the states of random generators."""

    buffers: list[tuple[nn.Module, str, Tensor, Tensor]]
    generators: dict[str, Any]
    device: torch.device

    @classmethod
    def capture(cls, model: BalancedModel) -> ForwardState:
        """Copy the present state."""
        modules = list(model.modules()) if isinstance(model, nn.Module) else []
        buffers = [
            (module, name, buffer, buffer.detach().clone())
            for module in modules
            for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False)
        ]
        device = next((each.device for each in model.parameters()), torch.device("cpu"))
        return cls(buffers, _generators(device), device)

    @torch.no_grad()
    def restore(self) -> None:
        """Put it back, bit for bit, into the same tensors."""
        for module, name, buffer, copy in self.buffers:
            # A forward pass may have put another tensor in its place.
            module._buffers[name] = buffer
            buffer.copy_(copy)
        torch.set_rng_state(self.generators["cpu"])
        np.random.set_state(self.generators["numpy"])
        random.setstate(self.generators["python"])
        if "device" in self.generators:
            _device_module(self.device).set_rng_state(self.generators["device"], *_index(self.device))


@contextmanager
def probing(model: BalancedModel, before: ForwardState | None = None) -> Iterator[None]:
    """Run forward passes as the first one of the step ran, and undo what they leave behind.

    Inside: no gradient, autocast off, every buffer and every random generator (torch on the CPU and on the parameters'
    device, numpy, random) as they were before the first forward pass; modules stay in training mode, so BatchNorm
    uses the statistics of the batch and dropout draws the same masks. After: buffers and generators as on entry, bit
    for bit, also when the block raises.

    Args:
        model: what is probed.
        before: `ForwardState.capture(model)` taken before the first forward pass; None means the state on entry.
    """
    after = ForwardState.capture(model)
    if before is not None:
        before.restore()
    try:
        with torch.no_grad(), torch.autocast(after.device.type, enabled=False):
            yield
    finally:
        after.restore()


def _generators(device: torch.device) -> dict[str, Any]:
    states: dict[str, Any] = {
        "cpu": torch.get_rng_state(),
        "numpy": np.random.get_state(),
        "python": random.getstate(),
    }
    if device.type != "cpu":
        states["device"] = _device_module(device).get_rng_state(*_index(device))
    return states


def _device_module(device: torch.device) -> Any:
    return torch.get_device_module(device)


def _index(device: torch.device) -> tuple[torch.device, ...]:
    # MPS has one generator and takes no index.
    return () if device.type == "mps" else (device,)
