"""The step length of a mixed gradient, set by that of the plain sum."""

from __future__ import annotations

import torch
from torch import Tensor

from medmd.balancing._shared import SharedGradients, pooled

NORMS = ("per_tensor", "global", "encoder", "mmpareto")


def length_ratios(shared: SharedGradients, mixed: Tensor, *, norm: str, eps: float, cap: float | None) -> Tensor:
    """By how much each mixed tensor is to be lengthened.

    Args:
        shared: gives the lengths of the plain sum.
        mixed: (T,) lengths after mixing.
        norm: `per_tensor`: |sum_i| / |mixed_i|; `encoder`, `global`: the same of all tensors of the encoder or of the
            model together, which keeps the direction; `mmpareto`: per tensor and at least 1.
        eps: added to the denominator.
        cap: upper bound, or None.

    Returns:
        (T,), one number a tensor.
    """
    whole, part = shared.sum_norms, mixed
    if norm in ("global", "encoder"):
        groups = [len(mixed)] if norm == "global" else shared.sizes
        whole, part = (
            torch.cat([length.expand(size) for length, size in zip(pooled(each, groups), groups, strict=True)])
            for each in (whole, part)
        )
    ratios = whole / (part + eps)
    if norm == "mmpareto":
        ratios = ratios.clamp(min=1.0)
    return ratios if cap is None else ratios.clamp(max=cap)
