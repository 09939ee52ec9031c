"""Gradients of several objectives with respect to one list of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import Parameter

from medmd.balancing._balancer import BalancedModel, Closure, Reduce, keep, run
from medmd.balancing._losses import Losses

Gradients = list[Tensor | None]


@dataclass(frozen=True)
class Parameters:
    """The trainable parameters of a model and which of them each encoder holds.

    Attributes:
        trainable: all, without repetition, in the model's order.
        encoders: by modality the positions in `trainable`. A parameter of two encoders counts for the first.
    """

    trainable: list[Parameter]
    encoders: dict[str, list[int]]

    @classmethod
    def of(cls, model: BalancedModel) -> Parameters:
        """Read the model's lists."""
        trainable = list({id(each): each for each in model.parameters() if each.requires_grad}.values())
        free = {id(each): place for place, each in enumerate(trainable)}
        encoders: dict[str, list[int]] = {}
        for name, members in model.encoder_parameters().items():
            places = [free.pop(id(each), None) for each in members if each.requires_grad]
            encoders[name] = [place for place in places if place is not None]
        return cls(trainable, encoders)

    @property
    def shared(self) -> list[int]:
        """Positions of all encoders' parameters, encoder by encoder."""
        return [place for places in self.encoders.values() for place in places]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.trainable[0].device if self.trainable else torch.device("cpu")

    def write(self, gradients: Gradients) -> None:
        """Overwrite every `.grad`, with zeros where nothing arrived."""
        for parameter, gradient in zip(self.trainable, gradients, strict=True):
            parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient


def add_gradients(
    loss: Tensor | None, parameters: Sequence[Parameter], gradients: Gradients, *, retain: bool = False
) -> None:
    """Add the loss's gradients to `gradients` in place; a loss without a graph, or no parameters, adds nothing.

    The graph's own accumulation is used instead of `autograd.grad`, because it never hands the same memory out twice.
    """
    if loss is None or not has_graph(loss) or not parameters:
        return
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    # The caller's autocast is for forward passes: a backward pass under it would narrow what ran in float32.
    with torch.autocast(loss.device.type, enabled=False):
        torch.autograd.backward(loss, inputs=list(parameters), retain_graph=retain)
    for place, parameter in enumerate(parameters):
        gradients[place], parameter.grad = parameter.grad, None


def has_graph(loss: Tensor | None) -> bool:
    """Whether anything can be differentiated."""
    return loss is not None and loss.grad_fn is not None


def dense(gradients: Gradients, parameters: Sequence[Parameter]) -> list[Tensor]:
    """Zeros in place of what nothing reached."""
    pairs = zip(gradients, parameters, strict=True)
    return [torch.zeros_like(parameter) if gradient is None else gradient for gradient, parameter in pairs]


def average(gradients: Gradients, parameters: Sequence[Parameter], reduce: Reduce) -> Gradients:
    """The gradients averaged over ranks, which must all bring the same tensors: hence zeros for missing ones."""
    return gradients if reduce is keep else list(reduce(dense(gradients, parameters)))


def average_values(values: dict[str, Tensor], reduce: Reduce) -> dict[str, Tensor]:
    """Scalars averaged over ranks in one message."""
    if reduce is keep or not values:
        return values
    return dict(zip(values, reduce([torch.stack(list(values.values()))])[0].unbind(), strict=True))


@dataclass(frozen=True)
class TwoObjectives:
    """Gradients of the fused loss and of the sum of unimodal losses, and the losses themselves.

    Attributes:
        fusion: one gradient a trainable parameter, None where the loss does not reach.
        unimodal: likewise.
        values: `loss`, `loss_fusion`, `loss_<modality>`.
    """

    fusion: Gradients
    unimodal: Gradients
    values: dict[str, Tensor]

    @classmethod
    def compute(
        cls, closures: Sequence[Closure], parameters: Parameters, weights: Mapping[str, float], reduce: Reduce
    ) -> TwoObjectives:
        """One forward pass and two backward passes a closure."""
        fusion: Gradients = [None] * len(parameters.trainable)
        unimodal: Gradients = list(fusion)
        values: dict[str, Tensor] = {}
        for closure in closures:
            accumulate(values, _add_both(run(closure), parameters, weights, fusion, unimodal))
        fusion = average(fusion, parameters.trainable, reduce)
        unimodal = average(unimodal, parameters.trainable, reduce)
        return cls(fusion, unimodal, average_values(values, reduce))

    def base(self, places: Sequence[int], sums: Sequence[Tensor]) -> Gradients:
        """Gradient of Eq. 1, the sum of both: what one backward pass of the summed loss gives.

        Args:
            places: positions for which the sum is at hand.
            sums: these sums.
        """
        known = dict(zip(places, sums, strict=True))
        pairs = enumerate(zip(self.fusion, self.unimodal, strict=True))
        return [known[place] if place in known else _add(*pair) for place, pair in pairs]


def _add_both(
    losses: Losses, parameters: Parameters, weights: Mapping[str, float], fusion: Gradients, unimodal: Gradients
) -> dict[str, Tensor]:
    """Add one micro-batch's gradients to both lists; on return nothing holds its graph any more."""
    first, second = losses.objectives(weights)
    add_gradients(first, parameters.trainable, fusion, retain=has_graph(second))
    add_gradients(second, parameters.trainable, unimodal)
    return {"loss": losses.total(weights).detach(), **losses.values()}


def _add(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """The sum, with None for zero; one of two is handed on as it is."""
    if first is None or second is None:
        return second if first is None else first
    return first + second


def accumulate(values: dict[str, Tensor], further: Mapping[str, Tensor]) -> None:
    """Add the losses of one more micro-batch."""
    for name, value in further.items():
        values[name] = values[name] + value if name in values else value
