"""RankSim: features are ranked by similarity as labels are by distance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medmd.losses._contrast import unit
from medmd.losses._inputs import check_choice, check_range, full_precision, upcast
from medmd.losses._views import mean_over, stack


class RankSimLoss(nn.Module):
    """For each anchor, the ranks of the others' cosine similarity should be those of their nearness in the label.

    Source: Gong et al., RankSim: Ranking Similarity Regularization for Deep Imbalanced Regression, ICML 2022. Of the
    cases with one label the first is kept. For each of the n that are left, e_i is the mean squared difference of
    rk(cos(z_i, z_j)) and rk(-|y_i - y_j|), ranks over n, the anchor itself among the j; the loss is gamma times the sum
    of the e_i. A ranking has no useful derivative; backward takes that of an interpolation (Vlastelica et al.,
    Differentiation of Blackbox Combinatorial Solvers, ICLR 2020): -(rk(s) - rk(s + lambda g)) / lambda, g the
    derivative of gamma e_i by the anchor's ranks. So gamma reaches farther along the ranking; it does not scale the
    gradient.
    Defaults are published: lambda 2, gamma 100. Written from the equations, since the authors' code is not free.

    Deviations: what multiplies the loss from outside scales the gradient and is not interpolated, nor is the mean of
    `reduction="mean"`; ties share their mean rank, where the authors' order is arbitrary; views are batches of their
    own, and their losses are averaged. In the bundle the features are the projector's, in stage 1 alone, beside the
    bundle's regression loss; published are the encoder's, throughout, beside the absolute error. The overlay sets
    `pretrain#trainer#contrastive_weight` to 1, as published; with another the gradient is so many times the published.

    Args:
        interpolation: lambda, above 0.
        weight: gamma, above 0.
        reduction: `sum` over the anchors, so that the loss grows with the batch, as published; or `mean`.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, interpolation: float = 2.0, weight: float = 100.0, reduction: str = "sum") -> None:
        super().__init__()
        self.interpolation = check_range("interpolation", interpolation, low=0.0, open_low=True)
        self.weight = check_range("weight", weight, low=0.0, open_low=True)
        self.reduction = check_choice("reduction", reduction, ("sum", "mean"))

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        iteration: int,
        *,
        predictions: Tensor | None = None,
        views: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch; arguments and errors as in `AdaptiveMarginSupConLoss`. NaN labels take no part.

        Returns:
            A scalar, at least 0 and below gamma, n times that for `sum`; 0 with its graph when fewer than two labels
            differ. Memory grows with B³.
        """
        del iteration, predictions
        stacked, number = stack(features, labels, views)
        with full_precision(features.device):
            values = upcast(labels)
            kept = _first_of_each(values)
            wanted = _ranks(-(values[:, None] - values[None, :]).abs(), kept)
            losses = [self._one_view(points, wanted, kept) for points in upcast(stacked).chunk(number)]
            return torch.stack(losses).mean()

    def _one_view(self, points: Tensor, wanted: Tensor, kept: Tensor) -> Tensor:
        points = unit(points)
        scores, wanted = points @ points.T, wanted.to(points.dtype)
        errors = _RankError.apply(scores, wanted, kept, self.interpolation, self.weight)
        return mean_over(errors, kept) if self.reduction == "mean" else torch.where(kept, errors, 0.0).sum()


class _RankError(torch.autograd.Function):
    """(B,) weighted mean squared error of each row's ranks, with the interpolated derivative."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, wanted: Tensor, kept: Tensor, interpolation: float, weight: float) -> Tensor:
        ranks = _ranks(scores, kept)
        difference = torch.where(kept, ranks - wanted, 0.0)
        number = kept.sum().clamp(min=1)
        ctx.save_for_backward(scores, ranks, weight * 2 * difference / number, kept)
        ctx.interpolation = interpolation
        return weight * difference.square().sum(dim=1) / number

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scores, ranks, slope, kept = ctx.saved_tensors
        moved = _ranks(scores + ctx.interpolation * slope, kept)
        found = torch.where(kept, -(ranks - moved) / ctx.interpolation, 0.0)
        return gradients[0][:, None] * found, None, None, None, None


def _ranks(scores: Tensor, kept: Tensor) -> Tensor:
    """Rank of each entry within its row (B, B) over the number of kept columns; 1 / n is the highest score.

    Columns that are not kept are not counted, and what stands in their place means nothing. Ties share their mean rank.
    """
    counted = kept.to(scores.dtype)
    higher = (scores[:, None, :] > scores[:, :, None]).to(scores.dtype) @ counted
    equal = (scores[:, None, :] == scores[:, :, None]).to(scores.dtype) @ counted
    return (higher + (equal + 1) / 2) / counted.sum().clamp(min=1)


def _first_of_each(labels: Tensor) -> Tensor:
    """(B,) bool, the first case of every label that is a number."""
    same = labels[:, None] == labels[None, :]
    return ~same.tril(diagonal=-1).any(dim=1) & ~labels.isnan()
