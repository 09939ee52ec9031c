"""The running mean of a network's weights, which often predicts better than any of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medmd.utils import MedmdError


class WeightAverage:
    """The exponential moving average of all weights and statistics of a network, beside the network.

    After step t (from 1) the average moves by 1 - d towards the network, d = min(decay, t / (t + 9)): the first steps,
    whose weights are soon outdated, leave it quickly. Statistics of batch norm are averaged like weights; what is no
    floating point number is copied. Source: Polyak and Juditsky, 1992; the warm-up is that of common implementations.

    Args:
        network: whose weights are averaged.
        decay: in (0, 1); half of the average comes from the last ln 2 / (1 - decay) steps.

    Raises:
        MedmdError: a decay outside (0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            msg = f"average_weights: expected a decay between 0 and 1, such as 0.99, or null; got {decay!r}."
            raise MedmdError(msg)
        self.network = network
        self.decay = float(decay)
        self.steps = 0
        self.average: dict[str, Tensor] = {}
        self._aside: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        now = self.network.state_dict()
        if not self.average:
            self.average = {name: tensor.detach().clone() for name, tensor in now.items()}
        self.steps += 1
        share = 1 - min(self.decay, self.steps / (self.steps + 9))
        for name, tensor in now.items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor.detach(), share)
            else:
                self.average[name].copy_(tensor)

    def swap_in(self) -> None:
        """Put the average into the network, for a validation; nothing happens before the first step."""
        if self.average and not self._aside:
            self._aside = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
            self.network.load_state_dict(self.average)

    def swap_back(self) -> None:
        """Put the network's own weights back."""
        if self._aside:
            self.network.load_state_dict(self._aside)
            self._aside = {}

    def state_dict(self) -> dict[str, Any]:
        """Number of steps and the average."""
        return {"steps": self.steps, "average": {name: tensor.clone() for name, tensor in self.average.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.steps = int(state["steps"])
        own = self.network.state_dict()
        self.average = {name: tensor.clone().to(own[name].device) for name, tensor in state["average"].items()}
