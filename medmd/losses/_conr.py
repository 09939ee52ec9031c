"""ConR: pushes apart cases that are predicted alike and are not."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medmd.losses._contrast import unit
from medmd.losses._inputs import check_range, full_precision, upcast
from medmd.losses._views import mean_over, others, stack


class ConRLoss(nn.Module):
    """Contrast with the cases that the prediction confuses.

    Source: Keramati et al., ConR: Contrastive Regularizer for Deep Imbalanced Regression, ICLR 2024. Positives
    P(i): |y_i - y_j| <= w. Negatives N(i): |y_i - y_j| > w and |p_i - p_j| <= w, p the predictions. For anchors with a
    negative: -1/|P| sum over P of log(exp(s_ip) / (sum over P of exp(s_ij) + sum over N of S_ij exp(s_ij))),
    s = z_i.z_j / tau, S_ij = exp(e |y_i - y_j|). Written from the equations, since the authors' code is not free.

    Deviations: S has no density weight; the mean is over anchors that have both positives and negatives, where the
    authors' code gives NaN for none; other cases add nothing to the denominator, where it adds 1 for each. In the
    bundle: one view, the projector's features, weight 0.5 beside the regression loss, w 0.2 standard deviations.
    Published: two further augmented views, the encoder's features, weight 4, w 1 year. With one view few cases have
    both kinds of partners: 36 % of the anchors of a batch of 8 and 65 % of 16, for the phantom's labels and predictions
    that correlate with them by 0.8.

    Args:
        width: w, in the unit of the labels given, above 0.
        temperature: tau, above 0.
        push: e, at least 0.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, width: float = 0.2, temperature: float = 0.07, push: float = 0.01) -> None:
        super().__init__()
        self.width = check_range("width", width, low=0.0, open_low=True)
        self.temperature = check_range("temperature", temperature, low=0.0, open_low=True)
        self.push = check_range("push", push, low=0.0)

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

        `predictions` (B,) in the space of the labels are needed; all views of a case share its prediction.

        Returns:
            A scalar; 0 with its graph when no anchor has both positives and negatives.

        Raises:
            ValueError: there are no predictions, or the shapes do not fit.
        """
        del iteration
        if predictions is None or predictions.shape != labels.shape:
            found = "none" if predictions is None else tuple(predictions.shape)
            msg = f"predictions: expected the shape {tuple(labels.shape)} of the labels; got {found}."
            raise ValueError(msg)
        stacked, number = stack(features, labels, views)
        with full_precision(features.device):
            anchors = unit(upcast(stacked))
            far = _differences(labels, number).to(anchors.dtype)
            alike = _differences(predictions.detach(), number) <= self.width
            pairs = others(len(anchors), anchors.device)
            positives, negatives = pairs & (far <= self.width), pairs & (far > self.width) & alike
            logits = anchors @ anchors.T / self.temperature
            low = torch.finfo(logits.dtype).min / 4
            pushed = torch.where(negatives, logits + self.push * far, logits)
            denominator = torch.logsumexp(pushed.masked_fill(~(positives | negatives), low), dim=1)
            count = positives.sum(dim=1)
            mean = logits.masked_fill(~positives, 0.0).sum(dim=1) / count.clamp(min=1)
            return mean_over(denominator - mean, (count > 0) & negatives.any(dim=1))


def _differences(values: Tensor, number: int) -> Tensor:
    """(N, N) absolute differences; NaN is far from everything in every comparison."""
    repeated = upcast(values).repeat(number)
    return (repeated[:, None] - repeated[None, :]).abs()
