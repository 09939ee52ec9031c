"""PCGrad: of two gradients that disagree, each loses its part against the other."""

from __future__ import annotations

import torch
from torch import Tensor

from medmd.balancing._two_task import Products, TwoTaskSolver, ratio


class PCGrad(TwoTaskSolver):
    """Gradient surgery.

    Source: Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020. When <g_mm, g_uni> < 0 each gradient is
    projected onto the normal plane of the other, and both are added:
    (1 - <g_mm, g_uni> / |g_mm|²) g_mm + (1 - <g_mm, g_uni> / |g_uni|²) g_uni; else the plain sum. With two objectives
    the order of the projections, which the paper draws at random, does not matter.

    Args:
        unimodal_weights: see `TwoTaskSolver`.
    """

    def _weights(self, products: Products) -> tuple[Tensor, Tensor]:
        against = torch.clamp(products.dot, max=0.0)
        return 1 - ratio(against, products.mm), 1 - ratio(against, products.uni)
