"""MMPareto: the fused and the unimodal gradient are weighed on each encoder by itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Balancer, Closure
from medmd.balancing._checks import check_positive
from medmd.balancing._conflict import Conflict
from medmd.balancing._gradients import Gradients, Parameters, TwoObjectives
from medmd.balancing._rescale import length_ratios
from medmd.balancing._shared import SharedGradients


class MMPareto(Balancer):
    """Pareto integration of fused and unimodal gradients.

    Source: Wei and Hu, MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance, ICML 2024. On each
    encoder: weights (1/2, 1/2) where the cosine is above 0, else the min-norm weights; each tensor of
    2 a g_mm + 2 (1 - a) g_uni is lengthened to that of the plain sum when it is shorter, then multiplied by gamma.
    Heads keep their plain gradient.

    Deviations from the authors' code, none of which changes a result that is finite: the gradient of the sum is the sum
    of the two gradients instead of a further backward pass; an `eps` keeps a vanishing tensor from giving NaN.

    An encoder without a unimodal gradient in the batch (no case has the modality) takes gamma times its plain gradient:
    weights of 1/2 here; a weight of 0.001 in the authors' code, then the same length. That code's end points, 0.001 and
    0.999, are met nowhere else: with a cosine of at most 0 and both gradients there, the weights are between 0 and 1.

    Args:
        gamma: factor of the encoders' gradients, above 0.
        unimodal_weights: factor of each unimodal loss by modality, 1 by default.
        eps: added to the length that is divided by, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self, *, gamma: float = 1.5, unimodal_weights: Mapping[str, float] | None = None, eps: float = 1e-12
    ) -> None:
        super().__init__()
        self.gamma = check_positive("gamma", gamma)
        self.unimodal_weights = dict(unimodal_weights or {})
        self.eps = check_positive("eps", eps)

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """One forward and two backward passes a closure; also logs `cosine`, `alpha_fusion`, `conflict` an encoder."""
        parameters = Parameters.of(model)
        closures = (closure, *more_closures)
        found = TwoObjectives.compute(closures, parameters, self.unimodal_weights, self.reduce)
        with torch.no_grad(), torch.autocast(parameters.device.type, enabled=False):
            shared = SharedGradients.of(parameters, found)
            base = found.base(shared.places, shared.sums)
            log = self._modulate(shared, base) if shared.places else {}
            parameters.write(base)
        return {**found.values, **log}

    def _modulate(self, shared: SharedGradients, base: Gradients) -> dict[str, Tensor]:
        """Replace the encoders' part of `base`; say what was done."""
        conflict = Conflict.measure(shared, shared.sizes, at_zero=True)
        lengths = shared.mix(conflict.weights())
        ratios = length_ratios(shared, lengths, norm="mmpareto", eps=self.eps, cap=None)
        for place, gradient in zip(shared.places, shared.scaled(self.gamma * ratios), strict=True):
            base[place] = gradient
        return conflict.log(shared.names)
