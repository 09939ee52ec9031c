"""Adaptive-margin supervised contrastive learning: positives are cases whose labels are close, and ever closer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from medmd.losses._contrast import contrast, unit, within_margin
from medmd.losses._inputs import check_choice, check_range, full_precision, upcast
from medmd.losses._queue import FeatureQueue
from medmd.losses._views import stack


class AdaptiveMarginSupConLoss(nn.Module):
    """Supervised contrastive loss whose positives are labels within a margin that shrinks with training.

    Source: Yin et al., Re-M3Dr: Rebalanced MultiModal Mean Deviation Regression, section 4.1 (AM-SupCon), on Khosla et
    al., Supervised Contrastive Learning, NeurIPS 2020. m(t) = m0 for t < t_n, else m0 exp(-beta (t - t_n));
    P(i) = {j != i: |v_i - v_j| < m(t)}; L = mean over anchors with a positive of the mean over P(i) of
    -log(exp(z_i.z_p / tau) / sum over a != i of exp(z_i.z_a / tau)), z of unit length.

    Readings of what the text leaves open: the anchor itself is in neither P(i) nor the denominator; anchors without a
    positive are skipped; t counts iterations, not epochs. `decay_rate=0` is the fixed-margin ablation.

    Args:
        initial_margin: m0, in the unit of the labels given (standard deviations in the paper's sense), above 0.
        decay_rate: beta per iteration, at least 0.
        warmup_iterations: t_n, at least 0.
        temperature: tau, above 0.
        minimum_margin: floor of m(t), at least 0 (the paper has none: with m the term fades away).
        min_positives: at least so many nearest cases are positives however far they are (0: the paper).
        queue_size: places of a first-in first-out memory of earlier features, used once the warm-up is over (0: the
            batch alone, as in the paper). It is filled in training mode, one batch a call that builds a graph.
        form: `out` averages over positives outside the logarithm (Khosla's L_out), `in` inside (L_in).
        reduction: `valid` averages over anchors with a positive, `all` over all anchors (the term fades as m shrinks),
            `none` gives each case's contribution (B,) to the `valid` mean.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        initial_margin: float = 0.4,
        decay_rate: float = 5e-4,
        warmup_iterations: int,
        temperature: float = 0.1,
        minimum_margin: float = 0.0,
        min_positives: int = 0,
        queue_size: int = 0,
        form: str = "out",
        reduction: str = "valid",
    ) -> None:
        super().__init__()
        self.initial_margin = check_range("initial_margin", initial_margin, low=0.0, open_low=True)
        self.decay_rate = check_range("decay_rate", decay_rate, low=0.0)
        self.warmup_iterations = int(check_range("warmup_iterations", warmup_iterations, low=0))
        self.temperature = check_range("temperature", temperature, low=0.0, open_low=True)
        self.minimum_margin = check_range("minimum_margin", minimum_margin, low=0.0)
        self.min_positives = int(check_range("min_positives", min_positives, low=0))
        self.form = check_choice("form", form, ("out", "in"))
        self.reduction = check_choice("reduction", reduction, ("valid", "all", "none"))
        self.queue = FeatureQueue(size=queue_size)

    def margin(self, iteration: int) -> float:
        """m(t), the distance of labels below which two cases attract each other at this iteration."""
        late = max(0, iteration - self.warmup_iterations)
        return max(self.minimum_margin, self.initial_margin * math.exp(-self.decay_rate * late))

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        iteration: int,
        *,
        predictions: Tensor | None = None,
        views: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch.

        Args:
            features: (B, D), of any length: they are normalised here, in float32 or better.
            labels: (B,), in the space in which the margin is meant. NaN makes a case a negative of all.
            iteration: iterations of the stage done so far, from 0.
            predictions: not used; other losses of stage 1 need them.
            views: (B, D) or (V, B, D), features of further augmented views of the same cases, in the same order.
                Views of one case are always positives of each other.

        Returns:
            A scalar, or (B,) for `reduction="none"`. 0 with its graph when no anchor has a positive.

        Raises:
            ValueError: the shapes do not fit.
        """
        del predictions
        stacked, number = stack(features, labels, views)
        with full_precision(features.device):
            anchors = unit(upcast(stacked))
            values = labels.to(anchors.dtype).repeat(number)
            key_labels, candidates = self._candidates(values, iteration)
            positives = self._positives(values, key_labels, candidates, iteration, cases=len(labels))
            logits = anchors @ self._keys(anchors, iteration).T / self.temperature
            losses = contrast(logits, positives, candidates, inside=self.form == "in")
        if self.training and torch.is_grad_enabled():
            self.queue.push(anchors, values, iteration)
        return self._reduce(losses, positives.any(dim=1), number)

    @torch.no_grad()
    def statistics(
        self, labels: Tensor, iteration: int, tail: Tensor | None = None, *, views: int = 0
    ) -> dict[str, Tensor]:
        """How well the anchors of a batch are served at this iteration, the queue considered.

        Ask before the loss: the loss puts the batch into the queue, in the place of the oldest cases.

        Args:
            labels: (B,), as given to the loss.
            iteration: as given to the loss.
            tail: (B,) bool, the cases of the distribution's tail; without it only the overall share is given.
            views: number of further views, as given to the loss.

        Returns:
            0-d tensors on the labels' device: `margin`, `positives` (mean number an anchor), `share_without_positive`,
            and for a given `tail` the share among tail and head as `…_tail` and `…_head`. A share of no anchors is NaN.
        """
        values = upcast(labels).repeat(views + 1)
        keys, candidates = self._candidates(values, iteration)
        positives = self._positives(values, keys, candidates, iteration, cases=len(labels))
        without = ~positives.any(dim=1)
        found = {
            "margin": torch.full((), self.margin(iteration), dtype=values.dtype, device=values.device),
            "positives": positives.sum(dim=1).to(values.dtype).mean(),
            "share_without_positive": without.to(values.dtype).mean(),
        }
        if tail is not None:
            for name, group in (("tail", tail), ("head", ~tail)):
                chosen = group.repeat(views + 1)
                found[f"share_without_positive_{name}"] = (without & chosen).sum() / chosen.sum()
        return found

    def _remembers(self, iteration: int) -> bool:
        return iteration >= self.warmup_iterations and self.queue.features.shape[1] > 0

    def _keys(self, anchors: Tensor, iteration: int) -> Tensor:
        """Features (M, D) that the anchors (N, D) are compared with."""
        return torch.cat([anchors, self.queue.features.to(anchors)]) if self._remembers(iteration) else anchors

    def _candidates(self, labels: Tensor, iteration: int) -> tuple[Tensor, Tensor]:
        """Labels (M,) of the keys, and (N, M) which of them each anchor is compared with."""
        candidates = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        if not self._remembers(iteration):
            return labels, candidates
        filled = self.queue.filled(iteration).to(labels.device).expand(len(labels), -1)
        return torch.cat([labels, self.queue.labels.to(labels)]), torch.cat([candidates, filled], dim=1)

    def _positives(self, labels: Tensor, keys: Tensor, candidates: Tensor, iteration: int, *, cases: int) -> Tensor:
        same = None
        if len(labels) > cases:
            own = torch.arange(len(labels), device=labels.device) % cases
            same = torch.zeros_like(candidates)
            same[:, : len(labels)] = own[:, None] == own[None, :]
        margin = self.margin(iteration)
        return within_margin(labels, keys, candidates, margin=margin, nearest=self.min_positives, same=same)

    def _reduce(self, losses: Tensor, valid: Tensor, views: int) -> Tensor:
        counted = torch.ones_like(valid) if self.reduction == "all" else valid
        shares = losses / counted.sum().clamp(min=1)
        return shares.reshape(views, -1).sum(dim=0) if self.reduction == "none" else shares.sum()
