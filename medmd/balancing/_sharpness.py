"""How much the loss rises in the neighbourhood of the weights: SGM's yardstick and its relatives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import Parameter

from medmd.balancing._balancer import BalancedModel, Closure, Reduce, run
from medmd.balancing._gradients import Gradients, add_gradients, average, dense
from medmd.balancing._probing import ForwardState, probing
from medmd.balancing._shared import total_norm

SHARPNESS = ("paper", "grad_norm", "curvature", "curvature_1p", "sam_max")


@dataclass(frozen=True)
class Probe:
    """The loss at points around the present weights.

    Attributes:
        model: what is probed.
        closures: the micro-batches of the step.
        before: state before the first forward pass; None when nothing will be probed.
        parameters: the weights that are moved.
        gradients: gradient of the total loss, one a parameter.
        weights: factors of the unimodal losses.
        rho: radius of the move.
        steps: how many moves of rho / steps, each along the gradient where it starts.
        adaptive: scale the move by the weights (ASAM).
        eps: added to the gradient's length.
        reduce: average over ranks.
    """

    model: BalancedModel
    closures: Sequence[Closure]
    before: ForwardState | None
    parameters: list[Parameter]
    gradients: list[Tensor]
    weights: Mapping[str, float]
    rho: float
    steps: int
    adaptive: bool
    eps: float
    reduce: Reduce

    @cached_property
    def slope(self) -> Tensor:
        """|g|, or |w g| for the adaptive move: the slope of the loss along a move of length 1."""
        return self._length([each.detach() for each in self.parameters], self.gradients)

    def losses(self, *signs: int) -> list[Tensor]:
        """The total loss after moves up (1) or down (-1), or where the weights are (0); these are put back bitwise."""
        found = []
        with kept(self.parameters) as copies:
            for sign in signs:
                self._walk(copies, sign)
                with probing(self.model, self.before):
                    totals = [run(closure).total(self.weights) for closure in self.closures]
                found.append(torch.stack(totals).sum())
        return list(self.reduce([torch.stack(found)])[0].unbind())

    def _walk(self, start: list[Tensor], sign: int) -> None:
        self._move(start, self.gradients, self.slope, sign)
        for _ in range(self.steps - 1 if sign else 0):
            gradients = self._gradients_here()
            here = [parameter.detach() for parameter in self.parameters]
            self._move(here, gradients, self._length(here, gradients), sign)

    @torch.no_grad()
    def _move(self, start: list[Tensor], gradients: list[Tensor], length: Tensor, sign: int) -> None:
        scale = self.rho / self.steps / (length + self.eps)
        for parameter, origin, gradient in zip(self.parameters, start, gradients, strict=True):
            direction = origin.square() * gradient if self.adaptive else gradient
            torch.addcmul(origin, direction, scale.to(origin.dtype), value=sign, out=parameter)

    def _length(self, weights: list[Tensor], gradients: list[Tensor]) -> Tensor:
        pairs = zip(weights, gradients, strict=True)
        return total_norm([w * g for w, g in pairs] if self.adaptive else gradients)

    def _gradients_here(self) -> list[Tensor]:
        found: Gradients = [None] * len(self.parameters)
        with probing(self.model, self.before), torch.enable_grad():
            for closure in self.closures:
                add_gradients(run(closure).total(self.weights), self.parameters, found)
        return dense(average(found, self.parameters, self.reduce), self.parameters)


@dataclass(frozen=True)
class Sharpness:
    """One measurement.

    Attributes:
        value: the chosen measure, 0-d.
        further: relatives that came for free, by the name under which they are logged.
    """

    value: Tensor
    further: dict[str, Tensor]


def measure(kind: str, probe: Probe, centre: Tensor | None) -> Sharpness:
    """Measure the sharpness.

    With L+ and L- the losses after moves of rho up and down, L0 the loss here and n the slope: `paper` L+ - L- (which
    by symmetry is 2 rho n to the second order and holds no curvature), `grad_norm` 2 rho n (no forward pass),
    `curvature` L+ + L- - 2 L0, `curvature_1p` 2 (L+ - L0 - rho n), `sam_max` L+ - L0.

    Args:
        kind: one of `SHARPNESS`.
        probe: gives the losses.
        centre: L0 as the probes compute it; None when the first pass ran in lower precision, then it is probed too.
    """
    slope = probe.slope
    if kind == "grad_norm":
        return Sharpness(2 * probe.rho * slope, {"gradient_norm": slope})
    signs = (1, -1) if kind in ("paper", "curvature") else (1,)
    if centre is None:
        *around, centre = probe.losses(*signs, 0)
    else:
        around = probe.losses(*signs)
    rise = around[0] - centre
    further = {"gradient_norm": slope}
    if len(around) == 2:
        further["curvature"] = around[0] + around[1] - 2 * centre
    value = {
        "paper": around[0] - around[-1],
        "curvature": further.get("curvature", rise),
        "curvature_1p": 2 * (rise - probe.rho * slope),
        "sam_max": rise,
    }[kind]
    return Sharpness(value, further)


@contextmanager
def kept(parameters: list[Parameter]) -> Iterator[list[Tensor]]:
    """Copy the weights and copy them back at the end, also when the block raises: subtraction would drift."""
    copies = [parameter.detach().clone() for parameter in parameters]
    try:
        yield copies
    finally:
        with torch.no_grad():
            for parameter, copy in zip(parameters, copies, strict=True):
                parameter.copy_(copy)
