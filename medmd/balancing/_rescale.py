"""The step length of a combined gradient, set by that of the plain sum."""

from __future__ import annotations

import torch
from torch import Tensor

from medmd.balancing._conflict import norms

NORMS = ("per_tensor", "global", "encoder", "mmpareto")


def length_ratios(
    base: list[Tensor], combined: list[Tensor], sizes: list[int], *, norm: str, eps: float, cap: float | None
) -> Tensor:
    """By how much each combined tensor is to be lengthened.

    Args:
        base: gradients of the plain sum.
        combined: gradients after weighing, in the same order.
        sizes: how many consecutive tensors each encoder has.
        norm: `per_tensor`: |base_i| / |combined_i|; `encoder`, `global`: the same of all tensors of the encoder or of
            the model together, which keeps the direction; `mmpareto`: per tensor and at least 1.
        eps: added to the denominator.
        cap: upper bound, or None.

    Returns:
        (T,), one number a tensor.
    """
    whole, part = norms(base), norms(combined)
    if norm in ("global", "encoder"):
        groups = [len(base)] if norm == "global" else sizes
        whole, part = _pooled(whole, groups), _pooled(part, groups)
    ratios = whole / (part + eps)
    if norm == "mmpareto":
        ratios = ratios.clamp(min=1.0)
    return ratios if cap is None else ratios.clamp(max=cap)


def weigh(mm: list[Tensor], uni: list[Tensor], alpha: list[Tensor]) -> list[Tensor]:
    """2 a mm_i + 2 (1 - a) uni_i for each tensor with its 0-d weight."""
    mixed = torch._foreach_lerp(uni, mm, alpha)
    torch._foreach_mul_(mixed, 2.0)
    return list(mixed)


def spread(values: Tensor, sizes: list[int]) -> list[Tensor]:
    """One 0-d value a tensor from one a group."""
    return [value for value, size in zip(values.unbind(), sizes, strict=True) for _ in range(size)]


def _pooled(lengths: Tensor, groups: list[int]) -> Tensor:
    return torch.cat([torch.linalg.vector_norm(part).expand(len(part)) for part in lengths.split(groups)])
