"""What the experts and the aggregator of EchoMEN minimise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medmd.losses._inputs import check_range
from medmd.losses._label_weights import label_weights, place
from medmd.utils import MedmdError


class MultiExpertLoss(nn.Module):
    """Squared errors of M experts, each weighed by another power of the label's rarity, and of their mixture.

    Source: Lai et al., EchoMEN: Combating Data Imbalance in Ejection Fraction Regression via Multi-Expert Network,
    MICCAI 2024. Expert m weighs a case by f_b^(-p_m), f_b the number of cases in its label's bin and p_m = m / (M - 1):
    for three experts none, the root and the full inverse. The aggregator minimises the plain squared error of the
    mixture; its loss writes no gradient of an expert (in the authors' code it does).

    Deviation: an expert's weights are scaled so that their mean over the cases of `density`, the training cases, is 1.

    It needs the predictions of `medmd.networks.MultiExpertRegressor`.

    Args:
        centres: of the bins, ascending and equally spaced, in the unit of the target, as `medmd.data.label_density`
            gives them.
        density: number of cases of each bin, not smoothed; a bin of 0 takes the smallest number above. A label takes
            the weight of the bin that counted it, which holds its lower boundary.
        experts: M, at least 1.

    Raises:
        ValueError: an argument is outside its range, or the lists differ in length.
    """

    def __init__(self, *, centres: Sequence[float], density: Sequence[float], experts: int = 3) -> None:
        super().__init__()
        check_range("experts", experts, low=1)
        powers = [number / max(1, experts - 1) for number in range(experts)]
        tables = [label_weights(centres, density, power=power) for power in powers]
        self.register_buffer("_tables", torch.stack(tables, dim=1), persistent=False)
        self._first = float(centres[0])
        self._width = float(centres[1] - centres[0]) if len(centres) > 1 else 1.0

    def weights(self, target: Tensor) -> Tensor:
        """(B, M) weights of labels (B,)."""
        tables: Tensor = self.get_buffer("_tables").to(target)
        return tables[place(target, first=self._first, width=self._width, number=len(tables))]

    def losses(
        self, predictions: Any, target: Tensor, rows: Mapping[str, Tensor | None]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the fused experts, and of those of each modality.

        Args:
            predictions: of a `MultiExpertRegressor`, B rows.
            target: (B,), dB.
            rows: by modality the rows that have it, `None` for all.

        Returns:
            A scalar, and a scalar a modality, 0 for one without rows. Each is the sum over experts of their weighted
            mean squared error, plus the aggregator's.

        Raises:
            MedmdError: the predictions have no experts, or another number of them.
        """
        heads = {name: self._head(predictions.extras, name, target, chosen) for name, chosen in rows.items()}
        return self._head(predictions.extras, "fusion", target, None), heads

    def _head(self, extras: Mapping[str, Tensor], name: str, target: Tensor, rows: Tensor | None) -> Tensor:
        experts, shares = self._extra(extras, f"experts_{name}"), self._extra(extras, f"shares_{name}")
        if rows is not None:
            experts, shares, target = experts[rows], shares[rows], target[rows]
        if not len(target):
            return experts.new_zeros(())
        own = (self.weights(target) * (experts - target[:, None]).square()).mean(dim=0).sum()
        mixture = (shares * experts.detach()).sum(dim=1)
        return own + (mixture - target).square().mean()

    def _extra(self, extras: Mapping[str, Tensor], name: str) -> Tensor:
        number = self.get_buffer("_tables").shape[1]
        found = extras.get(name)
        if found is None or found.shape[1] != number:
            there = "none" if found is None else f"{found.shape[1]}"
            msg = (
                f"train#trainer#loss_function: MultiExpertLoss expected {number} {name}, got {there}. Set "
                f"network#_target_ to medmd.networks.MultiExpertRegressor and network#experts to {number}."
            )
            raise MedmdError(msg)
        return found
