"""One backward pass of one loss: the two baselines without balancing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Balancer, Closure, run
from medmd.balancing._gradients import Gradients, Parameters, accumulate, add_gradients, average, average_values
from medmd.balancing._losses import Losses


class _OneLoss(Balancer):
    """Backward of whatever scalar `_objective` names."""

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """One forward and one backward pass a closure."""
        parameters = Parameters.of(model)
        gradients: Gradients = [None] * len(parameters.trainable)
        values: dict[str, Tensor] = {}
        for each in (closure, *more_closures):
            losses = run(each)
            objective = self._objective(losses)
            add_gradients(objective, parameters.trainable, gradients)
            accumulate(values, {"loss": objective.detach(), **losses.values()})
        parameters.write(average(gradients, parameters.trainable, self.reduce))
        return average_values(values, self.reduce)

    @abstractmethod
    def _objective(self, losses: Losses) -> Tensor:
        """The scalar to minimise."""


class UniformSum(_OneLoss):
    """The fused loss plus the weighted unimodal losses (Eq. 1 of Re-M3Dr), without any balancing.

    Args:
        unimodal_weights: factor of each unimodal loss by modality, 1 by default.
    """

    def __init__(self, *, unimodal_weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.unimodal_weights = dict(unimodal_weights or {})

    def _objective(self, losses: Losses) -> Tensor:
        return losses.total(self.unimodal_weights)


class JointLoss(_OneLoss):
    """The fused loss alone; unimodal losses are logged and take no part. Multi-task losses are summed."""

    def _objective(self, losses: Losses) -> Tensor:
        return losses.total({}) if losses.fusion is None else Losses(losses.fusion, {}).total({})
