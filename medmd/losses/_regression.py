"""Regression losses with one call: predictions and targets of a batch, and which rows count."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from medmd.losses._inputs import check_choice, check_range, full_precision, upcast


class RegressionLoss(nn.Module, ABC):
    """Base of the regression losses: checks, masks and reduces what `contributions` computes.

    Args:
        reduction: `mean` gives the scalar loss of the batch; `none` gives each row's contribution (B,). The
            contributions keep the denominators of the batch, hence sum to the scalar.
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_choice("reduction", reduction, ("mean", "none"))

    def forward(self, prediction: Tensor, target: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            prediction: (B,), in the unit of the target (dB). Half precisions are computed in float32.
            target: (B,), dB.
            mask: (B,) bool, the rows that count, all by default. A row outside adds nothing, takes no gradient, does
                not count in any denominator and may hold NaN: a batch keeps its shape when a modality is absent.

        Returns:
            A scalar, or (B,) for `reduction="none"`. An empty batch, or one without a counted row, gives 0 with its
            graph.

        Raises:
            ValueError: the shapes are not one and the same (B,).
        """
        _check_shapes(prediction, target, mask)
        with full_precision(prediction.device):
            prediction, target = upcast(prediction), upcast(target).to(upcast(prediction).dtype)
            rows = torch.ones_like(target) if mask is None else mask.to(target.dtype)
            if mask is not None:
                # Selection before the arithmetic: NaN times zero is NaN, in the gradient too.
                target = torch.where(mask, target, 0.0)
                prediction = torch.where(mask, prediction, 0.0)
            parts = self.contributions(prediction, target, rows)
        return parts if self.reduction == "none" else parts.sum()

    @abstractmethod
    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """Each row's share (B,) of the batch's loss; `rows` (B,) is 1 for counted rows and 0 for the others.

        Rows that are not counted hold zero in `prediction` and `target`.
        """


class MeanSquaredErrorLoss(RegressionLoss):
    """Mean of squared errors, dB²."""

    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """(p - y)² / B."""
        return (prediction - target).square() / count(rows)


class HuberLoss(RegressionLoss):
    """Mean of Huber's loss: e²/2 for |e| <= delta, else delta (|e| - delta/2) (Huber 1964).

    Args:
        delta: where the square turns into a line, dB, above 0.
        reduction: `mean` or `none`.
    """

    def __init__(self, *, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.delta = check_range("delta", delta, low=0.0, open_low=True)

    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """Huber's loss of the row / B."""
        return nn.functional.huber_loss(prediction, target, reduction="none", delta=self.delta) / count(rows)


def count(rows: Tensor) -> Tensor:
    """How many rows count, at least 1, so that nothing is divided by zero."""
    return rows.sum().clamp(min=1.0)


def _check_shapes(prediction: Tensor, target: Tensor, mask: Tensor | None) -> None:
    shapes = [tuple(each.shape) for each in (prediction, target, mask) if each is not None]
    if prediction.ndim != 1 or len(set(shapes)) != 1:
        msg = f"expected prediction, target (and mask) of one shape (B,); got {', '.join(map(str, shapes))}."
        raise ValueError(msg)
