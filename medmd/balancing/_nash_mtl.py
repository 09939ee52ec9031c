"""Nash-MTL: both objectives bargain over the step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from medmd.balancing._checks import check_positive
from medmd.balancing._two_task import Products, TwoTaskSolver


class NashMTL(TwoTaskSolver):
    """Multi-task learning as a bargaining game.

    Source: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022. The weights solve G Gᵀ w = 1 / w. For
    two objectives with cosine r the solution is w_i = 1 / (|g_i| sqrt(1 + r)): unit vectors are added and brought to
    the length sqrt(2), whatever the gradients' lengths and the angle between them. With `max_norm=1` every step on the
    encoders therefore has length 1. It is shorter only where the gradients are opposite within `eps`, or where one is
    zero and the other, which then stands alone as everywhere in these solvers, is shorter than `max_norm`.

    Deviations: closed form in place of the authors' numerical solver; weights act on the encoders alone, where the
    authors' code also multiplies the losses of the heads by them; 1 + r is kept above `eps`, which opposite gradients
    would otherwise divide by.

    Args:
        max_norm: the encoders' gradient is shortened to this length when longer (1 in the authors' code), also where
            one of the two is zero; or None.
        eps: least value of 1 + r, above 0.
        unimodal_weights: see `TwoTaskSolver`. A factor of a single objective does not change a bargain.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(
        self,
        *,
        max_norm: float | None = 1.0,
        eps: float = 1e-4,
        unimodal_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(unimodal_weights=unimodal_weights)
        self.max_norm = None if max_norm is None else check_positive("max_norm", max_norm)
        self.eps = check_positive("eps", eps)

    def _weights(self, products: Products) -> tuple[Tensor, Tensor]:
        cosine = products.cosine
        spread = (1 + cosine).clamp(min=self.eps).sqrt()
        mm, uni = (torch.where(each > 0, each, 1.0).rsqrt() / spread for each in (products.mm, products.uni))
        # |w_mm g_mm + w_uni g_uni|² = 2 (1 + r) / spread².
        shorter = self._shorter((2 * (1 + cosine)).sqrt() / spread)
        return mm * shorter, uni * shorter

    def _alone(self, products: Products) -> Tensor:
        return self._shorter((products.mm + products.uni).sqrt())

    def _shorter(self, length: Tensor) -> Tensor:
        """What brings a gradient of this length down to `max_norm`."""
        if self.max_norm is None:
            return torch.ones_like(length)
        return self.max_norm / torch.clamp(length, min=self.max_norm)
