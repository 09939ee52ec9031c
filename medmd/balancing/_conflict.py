"""Whether two gradients disagree on the shared parameters, and how they are then weighed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medmd.balancing._min_norm import min_norm_weight_of_products
from medmd.balancing._shared import SharedGradients, pooled


@dataclass(frozen=True)
class Conflict:
    """Agreement of the fused and the unimodal gradient in G groups of tensors.

    Attributes:
        cosine: (G,), 0 where a gradient is zero.
        alpha: (G,) weight of the fused gradient: min-norm in a conflict, else 1/2.
        conflict: (G,) bool.
        groups: how many consecutive tensors form each group.
    """

    cosine: Tensor
    alpha: Tensor
    conflict: Tensor
    groups: list[int]

    @classmethod
    def measure(cls, shared: SharedGradients, groups: list[int], *, at_zero: bool = False) -> Conflict:
        """Compare the two gradients.

        Args:
            shared: the gradients.
            groups: how many consecutive tensors form each group.
            at_zero: whether a cosine of exactly 0 counts as a conflict. A zero gradient never does.
        """
        first, second = (pooled(each, groups) for each in (shared.mm_norms, shared.uni_norms))
        dot = torch.stack([part.sum() for part in shared.dots.split(groups)])
        length = first * second
        alive = length > 0
        cosine = torch.where(alive, dot / torch.where(alive, length, 1.0), 0.0)
        conflict = alive & ((cosine <= 0) if at_zero else (cosine < 0))
        alpha = torch.where(conflict, min_norm_weight_of_products(first.square(), second.square(), dot), 0.5)
        return cls(cosine, alpha, conflict, groups)

    def weights(self) -> list[Tensor]:
        """The 0-d weight of the fused gradient for each tensor."""
        pairs = zip(self.alpha.unbind(), self.groups, strict=True)
        return [alpha for alpha, size in pairs for _ in range(size)]

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
