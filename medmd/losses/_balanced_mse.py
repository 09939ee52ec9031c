"""Balanced MSE: the squared error as if all labels were equally common."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from medmd.losses._inputs import check_range
from medmd.losses._regression import RegressionLoss, count


class BatchMonteCarloLoss(RegressionLoss):
    """Each prediction must find its own label among those of the batch.

    Source: Ren et al., Balanced MSE for Imbalanced Visual Regression, CVPR 2022 (BMC): cross-entropy over the batch of
    the logits -(p_i - y_j)² / (2 s²) with target j = i, times 2 s². A batch of 8 has 7 alternatives;
    `GaussianMixtureBalancedLoss` does not depend on the batch.

    Deviation: s is fixed. Learned, it needs an optimiser of its own; take the root mean squared error of a plain model.

    Args:
        noise: s in the unit of the target (dB), above 0.
        reduction: `mean` or `none`.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, noise: float = 3.0, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.noise = check_range("noise", noise, low=0.0, open_low=True)

    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """2 s² times the cross-entropy of the row / B."""
        logits = -(prediction[:, None] - target[None, :]).square() / (2 * self.noise**2)
        low = torch.finfo(logits.dtype).min / 4
        among = torch.logsumexp(torch.where(rows[None, :] > 0, logits, low), dim=1) if len(rows) else rows
        return 2 * self.noise**2 * rows * (among - logits.diagonal()) / count(rows)


class GaussianMixtureBalancedLoss(RegressionLoss):
    """The squared error, corrected by a mixture of normal distributions that stands for the labels.

    Source: as `BatchMonteCarloLoss` (GAI): (p - y)² + 2 s² log sum over k of w_k N(p; m_k, v_k + s²), the correction in
    closed form and without its constants.

    Args:
        weights: w_k of the K components, which sum to 1.
        means: m_k in the unit of the target.
        variances: v_k, above 0.
        noise: s in the unit of the target, above 0.
        reduction: `mean` or `none`.

    Raises:
        ValueError: an argument is outside its range, or the lists differ in length.
    """

    def __init__(
        self,
        *,
        weights: Sequence[float],
        means: Sequence[float],
        variances: Sequence[float],
        noise: float = 3.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.noise = check_range("noise", noise, low=0.0, open_low=True)
        if not len(weights) == len(means) == len(variances) > 0:
            lengths = f"{len(weights)}, {len(means)} and {len(variances)}"
            msg = f"weights, means, variances: expected equal lengths of at least 1; got {lengths}."
            raise ValueError(msg)
        for name, values, open_low in (("weights", weights, False), ("variances", variances, True)):
            for value in values:
                check_range(name, value, low=0.0, open_low=open_low)
        if not math.isclose(sum(weights), 1.0, rel_tol=1e-6):
            msg = f"weights: expected a sum of 1; got {sum(weights)}."
            raise ValueError(msg)
        self.register_buffer("_mixture", torch.tensor([weights, means, variances], dtype=torch.float64))

    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """The corrected squared error of the row / B."""
        mixture: Tensor = self.get_buffer("_mixture").to(prediction)
        weights, means, variances = mixture
        wide = variances + self.noise**2
        logs = weights.log() - wide.log() / 2 - (prediction[:, None] - means).square() / (2 * wide)
        correction = 2 * self.noise**2 * torch.logsumexp(logs, dim=1)
        return rows * ((prediction - target).square() + correction) / count(rows)
