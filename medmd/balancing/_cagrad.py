"""CAGrad: the mean gradient, turned towards the objective that it serves worst."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from medmd.balancing._checks import check_choice
from medmd.balancing._two_task import Products, TwoTaskSolver, ratio


class CAGrad(TwoTaskSolver):
    """Conflict-averse gradient descent.

    Source: Liu et al., Conflict-Averse Gradient Descent for Multi-task Learning, NeurIPS 2021. With g_0 the mean of
    the two gradients and g_w = w g_mm + (1 - w) g_uni, the w in [0, 1] that minimises
    <g_w, g_0> + c |g_0| |g_w| gives the step g_0 + c |g_0| g_w / |g_w|.

    Deviations: the one-dimensional minimisation, numerical in the authors' code, is solved in closed form on the
    device (the objective is convex in w); the step is doubled at `scale="sum"`, as in `MGDA`.

    Args:
        c: radius of the ball around g_0 in units of |g_0|, in [0, 1). 0 is the plain sum; the original uses 0.4 to 0.5.
        rescale: divide by 1 + c², as the authors' code does.
        scale: `sum` or `mean`.
        unimodal_weights: see `TwoTaskSolver`.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        c: float = 0.4,
        rescale: bool = True,
        scale: str = "sum",
        unimodal_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(unimodal_weights=unimodal_weights)
        if not 0 <= c < 1:
            msg = f"c: expected a number in [0, 1); got {c!r}."
            raise ValueError(msg)
        self.c = float(c)
        self.rescale = rescale
        self.scale = check_choice("scale", scale, ("sum", "mean"))

    def _weights(self, products: Products) -> tuple[Tensor, Tensor]:
        mm, uni, dot = products.mm, products.uni, products.dot
        mean = (mm + uni + 2 * dot).clamp(min=0.0).sqrt() / 2
        weight = _weight(products, self.c * mean)
        length = (weight.square() * mm + (1 - weight).square() * uni + 2 * weight * (1 - weight) * dot).clamp(min=0.0)
        push = self.c * ratio(mean, length.sqrt())
        factor = (2 if self.scale == "sum" else 1) / ((1 + self.c**2) if self.rescale else 1)
        return factor * (0.5 + push * weight), factor * (0.5 + push * (1 - weight))


def _weight(products: Products, radius: Tensor) -> Tensor:
    """The w in [0, 1] that minimises slope w + radius |g_w|.

    |g_w|² = a t² + e with a = |g_mm - g_uni|², t = w - w_min and e its least value: setting the derivative to zero
    gives t² = slope² e / (a (radius² a - slope²)) with the sign against the slope; without such a t the sum is
    monotonic.
    """
    a = products.mm + products.uni - 2 * products.dot
    slope = (products.mm - products.uni) / 2
    shortest = ratio(products.uni - products.dot, a)
    least = (products.uni - a * shortest.square()).clamp(min=0.0)
    room = radius.square() * a - slope.square()
    offset = slope.abs() * ratio(least, (a * room).clamp(min=0.0)).sqrt()
    inner = (shortest - torch.sign(slope) * offset).clamp(0.0, 1.0)
    end = (slope < 0).to(slope.dtype)
    return torch.where(a <= 0, 0.5, torch.where(room > 0, inner, end))
