"""EchoMEN's stage 1: supervised contrast whose negatives weigh the more, the farther their labels are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medmd.losses._contrast import unit
from medmd.losses._inputs import check_range, full_precision, upcast
from medmd.losses._views import mean_over, others, stack


class LabelDistanceWeightedSupConLoss(nn.Module):
    """Cases of equal labels attract; others repel, weighed by the distance of the labels.

    Source: Lai et al., EchoMEN: Combating Data Imbalance in Ejection Fraction Regression via Multi-Expert Network,
    MICCAI 2024 (L_LDW). Positives P(i): equal labels. Negatives Q(i): all others. Mean over anchors with a positive of
    -1/|P(i)| sum over P(i) of log(exp(s_ip) / sum over j != i of b_ij exp(s_ij)), s = z_i.z_j / tau, b_ij = 1 for
    positives and |Q(i)| exp(d_ij) / sum over Q(i) of exp(d_ik) for negatives.

    d_ij = |y_i - y_j| of the labels given, where the authors' code takes scaled ranks of the labels' frequencies. The
    paper's labels are in the target's own unit; the bundle's are z-scores by the training statistics, so that the
    farthest case does not take nearly all the weight, as it would in dB (`pretrain#trainer#label_space`). Label
    distance weighs negatives; it does not choose positives. Labels that are measured in hundredths are hardly ever
    equal, so two views a case are needed (`pretrain#trainer#views`), or a `width`.

    Args:
        temperature: tau, above 0 (1 in the authors' code).
        width: labels that differ by at most this, in the unit of the labels given, count as equal.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, temperature: float = 1.0, width: float = 0.0) -> None:
        super().__init__()
        self.temperature = check_range("temperature", temperature, low=0.0, open_low=True)
        self.width = check_range("width", width, low=0.0)

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
            A scalar; 0 with its graph when no anchor has a positive.
        """
        del iteration, predictions
        stacked, number = stack(features, labels, views)
        with full_precision(features.device):
            anchors = unit(upcast(stacked))
            values = upcast(labels).to(anchors.dtype).repeat(number)
            known = ~values.isnan()
            pairs = others(len(anchors), anchors.device) & known[:, None] & known[None, :]
            far = (values[:, None] - values[None, :]).abs().nan_to_num(nan=0.0)
            positives, negatives = pairs & (far <= self.width), pairs & (far > self.width)
            logits = anchors @ anchors.T / self.temperature
            low = torch.finfo(logits.dtype).min / 4
            weighed = logits + torch.where(negatives, _log_weights(far, negatives), 0.0)
            denominator = torch.logsumexp(weighed.masked_fill(~pairs, low), dim=1)
            count = positives.sum(dim=1)
            mean = logits.masked_fill(~positives, 0.0).sum(dim=1) / count.clamp(min=1)
            return mean_over(denominator - mean, count > 0)


def _log_weights(far: Tensor, negatives: Tensor) -> Tensor:
    """(N, N) logarithm of b_ij, which would overflow itself for distances in large units; anything elsewhere."""
    low = torch.finfo(far.dtype).min / 4
    total = torch.logsumexp(far.masked_fill(~negatives, low), dim=1, keepdim=True)
    return negatives.sum(dim=1, keepdim=True).clamp(min=1).to(far.dtype).log() + far - total
