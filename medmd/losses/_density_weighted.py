"""Errors weighed by how rare their labels are."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from medmd.losses._inputs import check_choice
from medmd.losses._label_weights import label_weights, place
from medmd.losses._regression import RegressionLoss, count


class DensityWeightedLoss(RegressionLoss):
    """Mean of errors, each weighed by the inverse density of its label (LDS).

    Source: Yang et al., Delving into Deep Imbalanced Regression, ICML 2021, with `medmd.data.label_density`.
    A label takes the weight of the bin that counted it, which holds its lower boundary, and outside of all bins that of
    the nearest. Weights are scaled so that their mean over the cases of `counts`, the training cases, is 1.

    Args:
        centres: of the bins, ascending and equally spaced, in the unit of the target.
        density: smoothed number of cases of each bin, at least 0; a bin of 0 takes the smallest one above.
        counts: number of cases of each bin before smoothing, at least 0. By default the density, so that the mean is
            over the smoothed numbers: a few per cent from 1 over the training cases.
        reweight: `inverse`, or `sqrt_inverse` for its root.
        error: `squared` or `absolute`.
        reduction: `mean` or `none`.

    Raises:
        ValueError: an argument is outside its range, or the lists differ in length.
    """

    def __init__(
        self,
        *,
        centres: Sequence[float],
        density: Sequence[float],
        counts: Sequence[float] | None = None,
        reweight: str = "sqrt_inverse",
        error: str = "squared",
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        check_choice("reweight", reweight, ("inverse", "sqrt_inverse"))
        self.error = check_choice("error", error, ("squared", "absolute"))
        power = 1.0 if reweight == "inverse" else 0.5
        self.register_buffer("_weights", label_weights(centres, density, power=power, counts=counts))
        self._first = float(centres[0])
        self._width = float(centres[1] - centres[0]) if len(centres) > 1 else 1.0

    def weights(self, target: Tensor) -> Tensor:
        """(B,) weights of labels (B,)."""
        table: Tensor = self.get_buffer("_weights").to(target)
        return table[place(target, first=self._first, width=self._width, number=len(table))]

    def contributions(self, prediction: Tensor, target: Tensor, rows: Tensor) -> Tensor:
        """Weight times error of the row / B."""
        difference = prediction - target
        errors = difference.square() if self.error == "squared" else difference.abs()
        return rows * self.weights(target) * errors / count(rows)
