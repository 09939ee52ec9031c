"""Features of several augmented views of the same cases, one below the other."""

from __future__ import annotations

import torch
from torch import Tensor


def stack(features: Tensor, labels: Tensor, views: Tensor | None) -> tuple[Tensor, int]:
    """All views ((1 + V) B, D), view by view, and 1 + V.

    Args:
        features: (B, D).
        labels: (B,).
        views: (B, D) or (V, B, D), or None.

    Raises:
        ValueError: the shapes do not fit.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        msg = f"expected features (B, D) and labels (B,); got {tuple(features.shape)} and {tuple(labels.shape)}."
        raise ValueError(msg)
    if views is None:
        return features, 1
    further = views[None] if views.ndim == 2 else views
    if further.ndim != 3 or further.shape[1:] != features.shape:
        msg = f"expected views (B, D) or (V, B, D) with (B, D) = {tuple(features.shape)}; got {tuple(views.shape)}."
        raise ValueError(msg)
    return torch.cat([features[None], further]).flatten(0, 1), 1 + len(further)


def others(number: int, device: torch.device) -> Tensor:
    """(N, N) bool, False on the diagonal."""
    return ~torch.eye(number, dtype=torch.bool, device=device)


def same_case(cases: int, views: int, device: torch.device) -> Tensor:
    """(V B, V B) bool, pairs of views of one case, itself included."""
    own = torch.arange(cases * views, device=device) % max(1, cases)
    return own[:, None] == own[None, :]


def mean_over(losses: Tensor, valid: Tensor) -> Tensor:
    """Mean of (N,) over the rows that are valid; 0 with its graph when none is."""
    return torch.where(valid, losses, 0.0).sum() / valid.sum().clamp(min=1)
