"""The multimodal regressor: one encoder and one head a modality, one head on all features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from medmd.networks._heads import RegressionHead
from medmd.networks._multimodal import MultimodalNetwork
from medmd.networks._predictions import Predictions


class MultimodalRegressor(MultimodalNetwork):
    """Predict one number (MD, dB) from any subset of K >= 1 modalities.

    The network of Yin et al., Re-M3Dr, eq. 1: an encoder a modality, a linear head on each feature (its loss keeps the
    encoder learning) and a linear head on the concatenation. Deviation: the paper needs every modality; here a learned
    token stands for the feature of an absent one, and an encoder runs on the rows that have its modality only.

    Batch norm in training mode with a single row uses its running statistics, which are then left unchanged; with no
    row the encoder is not run. In evaluation mode a row's prediction does not depend on the other rows.

    Values are not searched for NaN: on an accelerator that would synchronise every step. What stands in an absent
    modality's rows is never read, NaN included.

    Args:
        encoders: by modality, a module (B, ...) -> (B, out_features) with the attribute `out_features`. The order is
            that of the columns of `present`.
        fusion_hidden: width of a hidden ReLU layer in the fused head; None for the paper's linear head.
        output_range: (low, high) in dB of a sigmoid output; None for a linear output.

    Raises:
        MedmdError: no encoder, or a name that cannot be used.
        TypeError: an encoder that is no module or has no `out_features`.
        ValueError: one encoder for two modalities.
    """

    def __init__(
        self,
        encoders: Mapping[str, nn.Module],
        *,
        fusion_hidden: int | None = None,
        output_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(encoders)
        self.output_range = output_range
        self.unimodal_heads = nn.ModuleDict({name: self._head(width) for name, width in self.widths.items()})
        self.fusion_head = self._head(sum(self.widths.values()), hidden=fusion_hidden)

    def set_output_bias(self, mean: float) -> None:
        """Start every head at the mean target (dB) of the training set."""
        for head in self._heads():
            head.set_bias(mean)

    def _head(self, in_features: int, *, hidden: int | None = None) -> nn.Module:
        """A head of this network's kind."""
        return RegressionHead(in_features=in_features, hidden=hidden, output_range=self.output_range)

    def _heads(self) -> list[Any]:
        return [*self.unimodal_heads.values(), self.fusion_head]

    def _readout(self, features: dict[str, Tensor], outputs: dict[str, Tensor]) -> Predictions:
        fused = torch.cat([features[name] for name in self.modalities], dim=1)
        return Predictions(self.fusion_head(fused), outputs, features)
