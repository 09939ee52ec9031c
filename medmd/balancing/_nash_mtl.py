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
    two objectives with cosine r the solution is w_i = 1 / (|g_i| sqrt(1 + r)): unit vectors are added, and the step is
    the longer the more they disagree.

    Deviations: closed form in place of the authors' numerical solver; weights act on the encoders alone, where the
    authors' code also multiplies the losses of the heads by them; 1 + r is kept above `eps`, which opposite gradients
    would otherwise divide by.

    Args:
        max_norm: the encoders' gradient is shortened to this length when longer (1 in the authors' code), or None.
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
        if self.max_norm is not None:
            # |w_mm g_mm + w_uni g_uni|² = 2 (1 + r) / spread².
            length = (2 * (1 + cosine)).sqrt() / spread
            shorter = self.max_norm / torch.clamp(length, min=self.max_norm)
            mm, uni = mm * shorter, uni * shorter
        return mm, uni
