"""Supervised contrast between anchors and keys, given which keys are whose positives."""

from __future__ import annotations

import torch
from torch import Tensor


def unit(features: Tensor) -> Tensor:
    """Rows (N, D) scaled to length 1; a row of zeros stays zero and takes no gradient."""
    norms = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    alive = norms > torch.finfo(features.dtype).tiny
    return torch.where(alive, features / torch.where(alive, norms, 1.0), torch.zeros_like(features))


def contrast(logits: Tensor, positives: Tensor, candidates: Tensor, *, inside: bool) -> Tensor:
    """The loss of each anchor, 0 for an anchor without a positive.

    Args:
        logits: (N, M) similarity of anchor and key over the temperature.
        positives: (N, M) bool, the keys that attract; a part of `candidates`.
        candidates: (N, M) bool, the keys of the denominator: all but the anchor itself and empty places.
        inside: False averages over the positives outside the logarithm (Khosla et al. 2020, L_out), True inside (L_in).

    Returns:
        (N,), differentiable, finite for every mask.
    """
    # A large negative number instead of -inf: a row without candidates would have NaN in its gradient.
    low = torch.finfo(logits.dtype).min / 4
    denominator = torch.logsumexp(logits.masked_fill(~candidates, low), dim=1)
    number = positives.sum(dim=1).to(logits.dtype)
    if inside:
        numerator = torch.logsumexp(logits.masked_fill(~positives, low), dim=1) - number.clamp(min=1).log()
    else:
        numerator = logits.masked_fill(~positives, 0.0).sum(dim=1) / number.clamp(min=1)
    return torch.where(number > 0, denominator - numerator, torch.zeros_like(denominator))


def within_margin(
    anchors: Tensor, keys: Tensor, candidates: Tensor, *, margin: float, nearest: int, same: Tensor | None = None
) -> Tensor:
    """Which keys are positives of which anchors.

    Args:
        anchors: (N,) labels. NaN (unknown) is near nothing.
        keys: (M,) labels.
        candidates: (N, M) bool, pairs that may be positives.
        margin: labels closer than this, strictly, are positives.
        nearest: at least so many of the nearest keys are positives however far they are (ties count together).
        same: (N, M) bool, pairs of views of one case, positives whatever the margin is.

    Returns:
        (N, M) bool.
    """
    distance = (anchors[:, None] - keys[None, :]).abs()
    positives = distance < margin
    if nearest and keys.numel():
        ranked = torch.where(candidates & ~distance.isnan(), distance, torch.inf)
        limit = ranked.topk(min(nearest, keys.numel()), dim=1, largest=False).values
        # An anchor with fewer candidates than `nearest` takes all of them, hence the largest finite limit.
        reach = torch.where(limit.isfinite(), limit, -torch.inf).amax(dim=1, keepdim=True)
        positives = positives | (ranked <= reach)
    if same is not None:
        positives = positives | same
    return positives & candidates
