"""MGDA: the shortest vector between the two gradients."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from medmd.balancing._checks import check_choice
from medmd.balancing._min_norm import min_norm_weight_of_products
from medmd.balancing._two_task import Products, TwoTaskSolver


class MGDA(TwoTaskSolver):
    """The multiple-gradient descent algorithm.

    Source: Désidéri, C. R. Acad. Sci. Paris 2012; Sener and Koltun, Multi-Task Learning as Multi-Objective
    Optimization, NeurIPS 2018. a g_mm + (1 - a) g_uni with the a in [0, 1] that makes it shortest, in closed form. It
    is applied at every step, not only in conflict, and may stop one objective altogether (a of 0 or 1).

    Deviation: at `scale="sum"` the vector is doubled, so that two equal gradients give their sum as in all other
    methods here; `"mean"` is the original.

    Args:
        scale: `sum` or `mean`.
        unimodal_weights: see `TwoTaskSolver`.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, scale: str = "sum", unimodal_weights: Mapping[str, float] | None = None) -> None:
        super().__init__(unimodal_weights=unimodal_weights)
        self.scale = check_choice("scale", scale, ("sum", "mean"))

    def _weights(self, products: Products) -> tuple[Tensor, Tensor]:
        alpha = min_norm_weight_of_products(products.mm, products.uni, products.dot)
        factor = 2 if self.scale == "sum" else 1
        return factor * alpha, factor * (1 - alpha)
