"""Losses that need all that a network puts out, in place of one regression loss a head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from medmd.engines._precision import upcast
from medmd.networks import Predictions
from medmd.utils import MedmdError

Found = tuple[Tensor | None, dict[str, Tensor]] | tuple[Tensor | None, dict[str, Tensor], dict[str, Tensor]]


@runtime_checkable
class WholeLoss(Protocol):
    """A loss that sees all predictions of a forward pass at once: of experts, of distributions, of classes.

    Two further attributes are optional. A loss that leaves rows out (an unknown class) has the method
    `counts(predictions, target, rows)`: by objective (`fusion` and the unimodal ones), over how many rows it is a mean,
    as a 0-d tensor; without it these are all rows that have the modality. It is asked about the whole batch too, with
    the predictions of a part, of which only names and axes may be used. `inverse_scores = True` says that the scores
    are 1 / s - 1e-6 of a mean s, which is then what micro-batches average.
    """

    def losses(self, predictions: Predictions, target: Tensor, rows: Mapping[str, Tensor | None]) -> Found:
        """The objectives of one forward pass.

        Args:
            predictions: of B cases, at least float32. What stands in rows without a modality is NaN.
            target: (B, ...) of the batch.
            rows: by modality the (n,) indices of the rows that have it, or None for all.

        Returns:
            The fused loss (None for tasks without one) and by modality or task its own loss, each a scalar that is a
            **mean over its rows**, so that micro-batches can be weighed, and 0 where there are none. Optionally, as
            third, detached scores by modality, larger being worse; without them it is the mean absolute error.
        """


def upcast_all(predictions: Predictions) -> Predictions:
    """Every tensor in at least float32."""
    return Predictions(
        fusion=None if predictions.fusion is None else upcast(predictions.fusion),
        unimodal={name: upcast(value) for name, value in predictions.unimodal.items()},
        features={name: upcast(value) for name, value in predictions.features.items()},
        extras={name: upcast(value) for name, value in predictions.extras.items()},
    )


def refuse_contributions(loss: object) -> MedmdError:
    """The error for a method that treats head and tail apart (ImbSAM, SSE-SAM) with a loss that cannot be cut up."""
    name = type(loss).__name__
    msg = (
        "train#trainer#tail_threshold: methods that treat rare cases apart need what each case contributes to the "
        f"loss, and {name} takes the whole output at once. Choose another balancer (such as "
        "medmd.balancing.UniformSum) and tail_threshold null, or a regression loss of medmd.losses."
    )
    return MedmdError(msg)


def require_regression(loss: Any) -> None:
    """Refuse, for stage 1, a loss that has no value for one prediction a case.

    Raises:
        MedmdError: it has the method `losses` and cannot be called with predictions and targets.
    """
    callable_alone = not isinstance(loss, nn.Module) or type(loss).forward is not nn.Module.forward
    if isinstance(loss, WholeLoss) and not (callable(loss) and callable_alone):
        msg = (
            f"pretrain#trainer#loss_function: {type(loss).__name__} needs the output of all heads, and stage 1 trains "
            "one modality at a time. Set pretrain#trainer#loss_function to a regression loss of medmd.losses and keep "
            "this one for train#trainer#loss_function, or set pretraining to false."
        )
        raise MedmdError(msg)
