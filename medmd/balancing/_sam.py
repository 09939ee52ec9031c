"""SAM and ASAM: the gradient at the worst point nearby."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from medmd.balancing._ascent import Ascent, total_of
from medmd.balancing._balancer import BalancedModel, Balancer, Closure, run
from medmd.balancing._checks import check_positive
from medmd.balancing._gradients import Gradients, Parameters, accumulate, add_gradients, average, average_values
from medmd.balancing._probing import ForwardState


class SAM(Balancer):
    """Sharpness-aware minimisation of the total loss.

    Source: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021. The step is
    the gradient at w + rho g / |g|, with one length over all parameters. Both passes draw the same random numbers, and
    BatchNorm keeps the statistics of the first alone, as in the official code. Cost: 2.0 of a plain step.

    Deviations: weight decay belongs to the optimiser and is not part of the perturbed loss; the second pass runs
    without autocast; the weights are put back from copies, since subtraction would drift.

    Args:
        rho: radius, above 0 (0.02 to 0.1 in the original).
        unimodal_weights: factor of each unimodal loss by modality, 1 by default.
        eps: added to the gradient's length, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    _adaptive = False

    def __init__(
        self, *, rho: float = 0.05, unimodal_weights: Mapping[str, float] | None = None, eps: float = 1e-12
    ) -> None:
        super().__init__()
        self.rho = check_positive("rho", rho)
        self.unimodal_weights = dict(unimodal_weights or {})
        self.eps = check_positive("eps", eps)

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """Two forward and two backward passes a closure; also logs `sharpness`, the rise of the loss.

        Under autocast the first loss is narrow and the second is not: `sharpness` then holds their difference too.
        """
        closures = (closure, *more_closures)
        parameters = Parameters.of(model)
        before = ForwardState.capture(model)
        gradients: Gradients = [None] * len(parameters.trainable)
        values: dict[str, Tensor] = {}
        for each in closures:
            losses = run(each)
            total = losses.total(self.unimodal_weights)
            add_gradients(total, parameters.trainable, gradients)
            accumulate(values, {"loss": total.detach(), **losses.values()})
        gradients = average(gradients, parameters.trainable, self.reduce)
        values = average_values(values, self.reduce)
        ascent = Ascent(model, closures, before, parameters, self._adaptive, self.eps, self.reduce)
        with torch.autocast(parameters.device.type, enabled=False):
            found, raised = ascent.gradients(total_of(self.unimodal_weights), along=gradients, rho=self.rho)
        parameters.write(list(found))
        return {**values, "sharpness": raised - values["loss"]}


class ASAM(SAM):
    """Adaptive sharpness-aware minimisation, whose ball follows the scale of each weight.

    Source: Kwon et al., ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep Neural
    Networks, ICML 2021. The move is rho w² g / |w g|. The rest is as in `SAM`.

    Deviations: every tensor is scaled by its own entries, as the formula says. The authors' code scales by |w| + 0.01,
    and only tensors whose name holds `weight`; all others (biases) move by the plain gradient there, and by nothing at
    w = 0 here. The default of `rho` is that code's.

    Args:
        rho: radius, above 0; about ten times SAM's.
        unimodal_weights: see `SAM`.
        eps: see `SAM`.

    Raises:
        ValueError: an argument is outside its range.
    """

    _adaptive = True

    def __init__(
        self, *, rho: float = 0.5, unimodal_weights: Mapping[str, float] | None = None, eps: float = 1e-12
    ) -> None:
        super().__init__(rho=rho, unimodal_weights=unimodal_weights, eps=eps)
