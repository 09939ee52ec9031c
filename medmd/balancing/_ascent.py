"""Gradients at weights that were moved uphill."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Closure, Reduce, run
from medmd.balancing._gradients import Gradients, Parameters, add_gradients, average, dense
from medmd.balancing._losses import Losses
from medmd.balancing._probing import ForwardState, probing
from medmd.balancing._shared import total_norm
from medmd.balancing._sharpness import kept

Objective = Callable[[Losses], Tensor]


@dataclass(frozen=True)
class Ascent:
    """One step's look uphill: moves along a gradient, takes another there, and puts the weights back bit for bit.

    Attributes:
        model: what is trained.
        closures: the micro-batches of the step.
        before: state before the first forward pass: the second draws the same masks and leaves no trace.
        parameters: the model's.
        adaptive: scale the move by the weights (ASAM).
        eps: added to the gradient's length.
        reduce: average over ranks.
    """

    model: BalancedModel
    closures: Sequence[Closure]
    before: ForwardState
    parameters: Parameters
    adaptive: bool
    eps: float
    reduce: Reduce

    def gradients(self, objective: Objective, *, along: Gradients, rho: float) -> tuple[list[Tensor], Tensor]:
        """Gradient of the objective at w + e, and the objective there.

        e = rho g / |g|, or rho w² g / |w g| for the adaptive move, with g = `along` over all parameters.
        """
        trainable = self.parameters.trainable
        found: Gradients = [None] * len(trainable)
        values: list[Tensor] = []
        with kept(trainable) as weights:
            self._move(weights, dense(along, trainable), rho)
            with probing(self.model, self.before), torch.enable_grad():
                for closure in self.closures:
                    loss = objective(run(closure))
                    add_gradients(loss, trainable, found)
                    values.append(loss.detach())
        value = self.reduce([torch.stack(values).sum()])[0]
        return dense(average(found, trainable, self.reduce), trainable), value

    @torch.no_grad()
    def _move(self, weights: list[Tensor], gradients: list[Tensor], rho: float) -> None:
        pairs = list(zip(weights, gradients, strict=True))
        length = total_norm([w * g for w, g in pairs] if self.adaptive else gradients)
        scale = rho / (length + self.eps)
        for parameter, (weight, gradient) in zip(self.parameters.trainable, pairs, strict=True):
            direction = weight.square() * gradient if self.adaptive else gradient
            torch.addcmul(weight, direction, scale.to(weight.dtype), out=parameter)


def total_of(weights: Mapping[str, float]) -> Objective:
    """The total loss with these factors of the unimodal ones."""
    return lambda losses: losses.total(weights)
