"""Whether two gradients disagree on the shared parameters, and how they are then weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medmd.balancing._min_norm import min_norm_weight_of_products


@dataclass(frozen=True)
class Conflict:
    """Agreement of the fused and the unimodal gradient in G groups of tensors.

    Attributes:
        cosine: (G,), 0 where a gradient is zero.
        alpha: (G,) weight of the fused gradient: min-norm in a conflict, else 1/2.
        conflict: (G,) bool.
    """

    cosine: Tensor
    alpha: Tensor
    conflict: Tensor

    @classmethod
    def measure(cls, mm: list[Tensor], uni: list[Tensor], sizes: list[int], *, at_zero: bool = False) -> Conflict:
        """Compare tensor lists.

        Args:
            mm: gradients of the fused loss.
            uni: gradients of the unimodal losses, in the same order.
            sizes: how many consecutive tensors form each group.
            at_zero: whether a cosine of exactly 0 counts as a conflict. A zero gradient never does.
        """
        products = torch.stack([_products(a, b) for a, b in zip(mm, uni, strict=True)])
        sums = torch.stack([part.sum(dim=0) for part in products.split(sizes)])
        first, second, dot = sums.unbind(dim=1)
        length = first.sqrt() * second.sqrt()
        alive = length > 0
        cosine = torch.where(alive, dot / torch.where(alive, length, 1.0), 0.0)
        conflict = alive & ((cosine <= 0) if at_zero else (cosine < 0))
        alpha = torch.where(conflict, min_norm_weight_of_products(first, second, dot), 0.5)
        return cls(cosine, alpha, conflict)

    def log(self, names: Sequence[str] = ()) -> dict[str, Tensor]:
        """Means over the groups, and each group's values under its name when names are given."""
        columns = {
            "cosine": self.cosine,
            "alpha_fusion": self.alpha,
            "conflict": self.conflict.to(self.cosine.dtype),
        }
        log = {title: column.mean() for title, column in columns.items()}
        for title, column in columns.items():
            for place, name in enumerate(names):
                log[f"{title}_{name}"] = column[place]
        return log


def norms(tensors: list[Tensor]) -> Tensor:
    """(T,) Euclidean length of each tensor, in float32 or better."""
    if not tensors:
        return torch.zeros(0)
    half = tensors[0].dtype in (torch.float16, torch.bfloat16)
    return torch.stack(list(torch._foreach_norm(tensors, 2, torch.float32 if half else None)))


def _products(a: Tensor, b: Tensor) -> Tensor:
    """<a, a>, <b, b> and <a, b>, without a temporary of their size."""
    if a.dtype in (torch.float16, torch.bfloat16):
        a, b = a.float(), b.float()
    a, b = a.flatten(), b.flatten()
    return torch.stack([torch.dot(a, a), torch.dot(b, b), torch.dot(a, b)])
