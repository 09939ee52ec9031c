"""The regression loss of the paper: SMAPE plus one minus R²."""

from __future__ import annotations

import torch
from torch import Tensor

from medmd.losses._inputs import check_choice, check_range
from medmd.losses._regression import RegressionLoss, count


class SmapeR2Loss(RegressionLoss):
    """Symmetric mean absolute percentage error plus the share of variance that is not explained.

    mean of 2 |p - y| / max(|p| + |y|, min_denominator)  +  sum (p - y)² / SS,
    SS = max(sum (y - mean y)², min_variance_ratio * B * train_variance).

    Source: Yin et al., Re-M3Dr: Rebalanced MultiModal Mean Deviation Regression, section 5.2 ("a combination of SMAPE
    and R²"), whose formula is not printed; this is the form of the public STAGE solutions, on targets in dB. Never feed
    standardised targets: a percentage of a number around zero means nothing.

    Deviations, each switched off by an argument: both denominators have a floor. A field at 0 dB predicted as 0 dB
    would be 0/0, and near 0 dB the slope 2 / (|p| + |y|) has no bound (`min_denominator=0` reproduces that). A batch
    of eyes that happen to be alike would be weighed up to hundreds of times (`variance="batch"` reproduces that).

    Args:
        min_denominator: floor of the SMAPE's denominator, dB, at least 0.
        min_variance_ratio: floor of SS as a share of what the training variance leads one to expect, at least 0.
        train_variance: variance of the training targets, dB², above 0.
        variance: what SS is. `guarded`: as above; `batch`: the batch's own sum of squares alone; `train`:
            B * train_variance, which makes the term the mean squared error over the training variance.
        shift: None, or an upper bound of the target in dB (3): SMAPE is then taken of the loss `shift - y` >= 0. As
            published, a positive target predicted negative makes the term constant, without gradient.
        smape_weight: factor of the first term, at least 0.
        r2_weight: factor of the second term, at least 0.
        reduction: `mean` or `none` (contributions that sum to the scalar).

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        min_denominator: float = 0.1,
        min_variance_ratio: float = 0.25,
        train_variance: float,
        variance: str = "guarded",
        shift: float | None = None,
        smape_weight: float = 1.0,
        r2_weight: float = 1.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.min_denominator = check_range("min_denominator", min_denominator, low=0.0)
        self.min_variance_ratio = check_range("min_variance_ratio", min_variance_ratio, low=0.0)
        self.train_variance = check_range("train_variance", train_variance, low=0.0, open_low=True)
        self.variance = check_choice("variance", variance, ("guarded", "batch", "train"))
        self.shift = shift
        self.smape_weight = check_range("smape_weight", smape_weight, low=0.0)
        self.r2_weight = check_range("r2_weight", r2_weight, low=0.0)

    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """The row's SMAPE term / B plus its squared error / SS."""
        error = prediction - target
        smape = self._percentage(prediction, target, error) / count(rows)
        return self.smape_weight * smape + self.r2_weight * error.square() / self._sum_of_squares(target, rows)

    def _percentage(self, prediction: Tensor, target: Tensor, error: Tensor) -> Tensor:
        if self.shift is not None:
            prediction, target = self.shift - prediction, self.shift - target
        size = prediction.abs() + target.abs()
        # With a floor of 0 the smallest normal number keeps 0/0 at 0.
        return 2 * error.abs() / size.clamp(min=max(self.min_denominator, torch.finfo(size.dtype).tiny))

    def _sum_of_squares(self, target: Tensor, rows: Tensor) -> Tensor:
        expected = rows.sum() * self.train_variance
        mean = target.sum() / count(rows)
        own = ((target - mean).square() * rows).sum()
        chosen = {
            "guarded": torch.maximum(own, self.min_variance_ratio * expected),
            "batch": own,
            "train": expected,
        }[self.variance]
        # A batch of equal targets has no variance to explain: the floor keeps the loss finite.
        return chosen.clamp(min=1e-12)
