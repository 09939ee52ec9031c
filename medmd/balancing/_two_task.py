"""Multi-task solvers for two objectives: they weigh the fused and the summed unimodal gradient on the encoders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from medmd.balancing._balancer import BalancedModel, Balancer, Closure
from medmd.balancing._gradients import Gradients, Parameters, TwoObjectives
from medmd.balancing._shared import SharedGradients


@dataclass(frozen=True)
class Products:
    """The Gram matrix of the two gradients over all encoders together.

    Attributes:
        mm: 0-d, squared length of the fused gradient.
        uni: 0-d, squared length of the unimodal one.
        dot: 0-d, their inner product.
    """

    mm: Tensor
    uni: Tensor
    dot: Tensor

    @classmethod
    def of(cls, shared: SharedGradients) -> Products:
        """Sum over the encoders' tensors."""
        return cls(shared.mm_norms.square().sum(), shared.uni_norms.square().sum(), shared.dots.sum())

    @property
    def cosine(self) -> Tensor:
        """In [-1, 1]; 0 where a gradient is zero."""
        # Roots before the product, which would leave float32 for gradients of 1e-10 or 1e10.
        length = self.mm.sqrt() * self.uni.sqrt()
        return torch.where(length > 0, self.dot / torch.where(length > 0, length, 1.0), 0.0).clamp(-1.0, 1.0)

    @property
    def alive(self) -> Tensor:
        """Whether both gradients are there; a batch in which no case has a modality may lack one."""
        return (self.mm > 0) & (self.uni > 0)


class TwoTaskSolver(Balancer):
    """One forward and two backward passes: w_mm g_mm + w_uni g_uni on the encoders, the plain sum on the heads.

    The solvers were made for tasks that share an encoder. Here the fused loss is one task and the weighted sum of the
    unimodal losses the other, since rows of zeros (a head that sees one encoder) would otherwise enter; for multi-task
    use the first task stands against the sum of the rest. Where one gradient is zero, the sum is taken: nothing is to
    be weighed. Cost (1 + 2 n) / 3 of a plain step with n = 2: 1.67.

    Args:
        unimodal_weights: factor of each unimodal loss by modality, 1 by default.
    """

    def __init__(self, *, unimodal_weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.unimodal_weights = dict(unimodal_weights or {})

    def backward(self, model: BalancedModel, closure: Closure, *more_closures: Closure) -> dict[str, Tensor]:
        """Also logs `cosine`, `conflict` and `alpha_fusion`, the fused gradient's share of the two weights."""
        parameters = Parameters.of(model)
        found = TwoObjectives.compute((closure, *more_closures), parameters, self.unimodal_weights, self.reduce)
        with torch.no_grad(), torch.autocast(parameters.device.type, enabled=False):
            shared = SharedGradients.of(parameters, found)
            base = found.base(shared.places, shared.sums)
            log = self._combine(shared, base) if shared.places else {}
            parameters.write(base)
        return {**found.values, **log}

    @abstractmethod
    def _weights(self, products: Products) -> tuple[Tensor, Tensor]:
        """0-d factors of the fused and the unimodal gradient, which are both not zero."""

    def _alone(self, products: Products) -> Tensor:
        """0-d factor of the plain sum where a gradient is zero."""
        return torch.ones_like(products.mm)

    def _combine(self, shared: SharedGradients, base: Gradients) -> dict[str, Tensor]:
        """Replace the encoders' part of `base`; say what was done."""
        products = Products.of(shared)
        alone = self._alone(products)
        mm, uni = (torch.where(products.alive, each, alone) for each in self._weights(products))
        for place, first, second in zip(shared.places, shared.mm, shared.uni, strict=True):
            base[place] = first * mm.to(first.dtype) + second * uni.to(second.dtype)
        cosine = products.cosine
        return {
            "cosine": cosine,
            "alpha_fusion": mm / (mm + uni),
            "conflict": (cosine < 0).to(cosine.dtype),
        }


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Part / whole, 0 where the whole is 0."""
    return torch.where(whole != 0, part / torch.where(whole != 0, whole, 1.0), 0.0)
