"""The loss around trained weights, along random directions of the size of each filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Vector = NDArray[np.float64]


class Slice(NamedTuple):
    """Losses on a line or a plane through the weights.

    Attributes:
        steps: (G,) multiples of the directions.
        values: (G,) on a line, (G, G) on a plane (first direction down, second across).
    """

    steps: Vector
    values: Vector

    @property
    def rise(self) -> float:
        """Mean of the loss at the ends minus the loss at the weights: how sharp the minimum looks."""
        middle = tuple(size // 2 for size in self.values.shape)
        edge = self.values.ravel()[[0, -1]] if self.values.ndim == 1 else _border(self.values)
        return float(edge.mean() - self.values[middle])


def filter_direction(network: nn.Module, *, seed: int) -> list[Tensor]:
    """A Gaussian direction in which every filter is as long as the network's own (Li et al. 2018).

    Biases and the weights of normalisation layers, which have one number a channel, are not moved.

    Args:
        network: gives shapes and lengths.
        seed: of the direction.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for parameter in network.parameters():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if parameter.ndim < 2:
            found.append(torch.zeros_like(drawn).to(parameter))
            continue
        axes = tuple(range(1, parameter.ndim))
        own = parameter.detach().double().cpu().pow(2).sum(dim=axes, keepdim=True).sqrt()
        length = drawn.pow(2).sum(dim=axes, keepdim=True).sqrt()
        found.append((drawn * own / (length + 1e-12)).to(parameter))
    return found


@torch.no_grad()
def loss_slice(
    network: nn.Module, loss: Callable[[], Tensor | float], directions: Sequence[Sequence[Tensor]], *, steps: Vector
) -> Slice:
    """The loss at every step along one or two directions; the weights are put back bit for bit.

    Args:
        network: whose parameters are moved. It should be in evaluation mode: running statistics of normalisation
            layers stay those of the trained weights.
        loss: of the network as it stands.
        directions: one or two, a tensor for each parameter.
        steps: (G,) multiples.
    """
    parameters = list(network.parameters())
    kept = [parameter.detach().clone() for parameter in parameters]
    shape = (len(steps),) * len(directions)
    values = np.full(shape, np.nan)
    try:
        for place in np.ndindex(shape):
            for at, (parameter, origin) in enumerate(zip(parameters, kept, strict=True)):
                parameter.copy_(origin)
                for index, direction in zip(place, directions, strict=True):
                    parameter.add_(direction[at], alpha=float(steps[index]))
            values[place] = float(loss())
    finally:
        for parameter, origin in zip(parameters, kept, strict=True):
            parameter.copy_(origin)
    return Slice(np.asarray(steps, dtype=np.float64), values)


def _border(values: Vector) -> Vector:
    inside = np.ones_like(values, dtype=bool)
    inside[1:-1, 1:-1] = False
    return values[inside]
