"""SimCLR and SupCon: contrast between views of one case, and between cases of one class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medmd.losses._contrast import contrast, unit
from medmd.losses._inputs import check_range, full_precision, upcast
from medmd.losses._views import mean_over, others, same_case, stack


class SimCLRLoss(nn.Module):
    """Views of one case attract, all others repel (NT-Xent); labels are not looked at.

    Source: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020. Mean over the
    N = V B views of -log(exp(z_i.z_p / tau) / sum over a != i of exp(z_i.z_a / tau)), p the other view; with more than
    two views the mean over all p. It needs two views (`pretrain#trainer#views`); with one it is 0. A batch of 8 has
    only 14 negatives an anchor, and a horizontal flip among the augmentations would exchange left and right.

    Deviation: in the bundle it stands at weight 0.5 beside the regression loss, which does look at labels; the original
    pretrains without any.

    Args:
        temperature: tau, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
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
        """The loss of a batch; arguments and errors as in `AdaptiveMarginSupConLoss`.

        Returns:
            A scalar.
        """
        del iteration, predictions
        stacked, number = stack(features, labels, views)
        with full_precision(features.device):
            anchors = unit(upcast(stacked))
            candidates = others(len(anchors), anchors.device)
            positives = self._positives(labels, number) & candidates
            losses = contrast(anchors @ anchors.T / self.temperature, positives, candidates, inside=False)
            return mean_over(losses, positives.any(dim=1))

    def _positives(self, labels: Tensor, number: int) -> Tensor:
        return same_case(len(labels), number, labels.device)


class SupConLoss(SimCLRLoss):
    """Cases of one class attract, all others repel; the classes of a number are bins of equal width.

    Source: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020 (L_out). Anchors without a positive are
    skipped; the authors' code lets them count as 0.

    Deviation: in the bundle one view a case, at weight 0.5 beside the regression loss; the original has two views, and
    trains by this loss alone.

    Args:
        bin_width: width of a class in the unit of the labels given, above 0; a boundary is at 0.
        temperature: tau, above 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, bin_width: float = 0.5, temperature: float = 0.1) -> None:
        super().__init__(temperature=temperature)
        self.bin_width = check_range("bin_width", bin_width, low=0.0, open_low=True)

    def _positives(self, labels: Tensor, number: int) -> Tensor:
        bins = torch.floor(upcast(labels) / self.bin_width).repeat(number)
        return (bins[:, None] == bins[None, :]) | super()._positives(labels, number)
