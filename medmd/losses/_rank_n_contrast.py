"""Rank-N-Contrast: of two cases, the one whose label is nearer is the more alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medmd.losses._inputs import check_range, full_precision, upcast
from medmd.losses._views import mean_over, others, stack


class RankNContrastLoss(nn.Module):
    """Every other case is a positive once, against all that are as far from the anchor or farther.

    Source: Zha et al., Rank-N-Contrast: Learning Continuous Representations for Regression, NeurIPS 2023. Mean over
    ordered pairs (i, j) of -log(exp(s_ij / tau) / sum over k != i with |y_i - y_k| >= |y_i - y_j| of exp(s_ik / tau)),
    s = -|f_i - f_j| of features that are not normalised. No margin, and no anchor without a positive.

    Deviations, in the bundle: the features are the projector's, where the original takes the encoder's; the loss stands
    at weight 0.5 beside the regression loss, and stage 2 trains everything, where the original trains the encoder by
    this loss alone and then a linear regressor on what is frozen.

    Args:
        temperature: tau, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = check_range("temperature", temperature, low=0.0, open_low=True)

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
            A scalar; 0 with its graph when there are no two cases. Memory grows with N³, N = (1 + V) B.
        """
        del iteration, predictions
        stacked, number = stack(features, labels, views)
        with full_precision(features.device):
            points = upcast(stacked)
            values = upcast(labels).to(points.dtype).repeat(number)
            known = ~values.isnan()
            pairs = others(len(points), points.device) & known[:, None] & known[None, :]
            logits = -_distances(points) / self.temperature
            far = (values[:, None] - values[None, :]).abs()
            # (i, j, k): k is in the denominator of the pair (i, j).
            ranked = pairs[:, None, :] & (far[:, None, :] >= far[:, :, None])
            low = torch.finfo(logits.dtype).min / 4
            denominator = torch.logsumexp(logits[:, None, :].masked_fill(~ranked, low), dim=2)
            return mean_over((denominator - logits).flatten(), pairs.flatten())


def _distances(points: Tensor) -> Tensor:
    """(N, N) Euclidean distances; equal points have no direction, and take no gradient."""
    squares = (points[:, None, :] - points[None, :, :]).square().sum(dim=2)
    apart = squares > 0
    return torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)
