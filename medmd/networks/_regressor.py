"""The multimodal regressor: one encoder and one head a modality, one head on all features."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from medmd.networks._feature_widths import feature_widths
from medmd.networks._heads import RegressionHead
from medmd.networks._predictions import Predictions
from medmd.networks._presence import all_rows, batch_size, present_rows
from medmd.networks._running_statistics import running_statistics
from medmd.utils import MedmdError


class MultimodalRegressor(nn.Module):
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
        super().__init__()
        widths = feature_widths(encoders)
        self.encoders = nn.ModuleDict(encoders)
        self.tokens = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name, width in widths.items()})
        self.unimodal_heads = nn.ModuleDict(
            {name: RegressionHead(in_features=width, output_range=output_range) for name, width in widths.items()}
        )
        self.fusion_head = RegressionHead(
            in_features=sum(widths.values()), hidden=fusion_hidden, output_range=output_range
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of the columns of `present`."""
        return tuple(self.encoders)

    def forward(self, inputs: Mapping[str, Tensor], present: Tensor | None = None) -> Predictions:
        """Predict for B eyes.

        Args:
            inputs: by modality, a float tensor (B, ...); a modality that is left out is absent in every row.
            present: (B, K) bool, columns in the order of `modalities`; None when each modality in `inputs` exists in
                every row, which is the case without any synchronisation between host and device. A tensor on the host
                costs none either; one on an accelerator costs one a forward.

        Raises:
            MedmdError: an eye without any modality, an unknown name, or shapes that do not fit.
        """
        rows = batch_size(inputs, self.modalities)
        if present is not None and torch.compiler.is_exporting():
            return self._readout(*self._encode_densely(inputs, present))
        having = all_rows(inputs, self.modalities)
        if present is not None:
            having = present_rows(present, inputs, self.modalities, rows)
        features: dict[str, Tensor] = {}
        unimodal: dict[str, Tensor] = {}
        for name in self.modalities:
            features[name], unimodal[name] = self._modality(name, inputs, having[name], rows)
        return self._readout(features, unimodal)

    def forward_unimodal(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction (B,) in dB and feature (B, d) of one modality that every row has.

        Raises:
            MedmdError: an unknown name or a shape that the encoder cannot take.
        """
        batch_size({name: x}, self.modalities)
        features = self._encode(name, x)
        return self.unimodal_heads[name](features), features

    def set_output_bias(self, mean: float) -> None:
        """Start every head at the mean target (dB) of the training set."""
        for head in self._heads():
            head.set_bias(mean)

    def encoder_parameters(self) -> dict[str, list[nn.Parameter]]:
        """By modality, the trainable parameters of its encoder."""
        return {
            name: [parameter for parameter in encoder.parameters() if parameter.requires_grad]
            for name, encoder in self.encoders.items()
        }

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that several objectives reach: those of all encoders, modality by modality."""
        return list(chain.from_iterable(self.encoder_parameters().values()))

    def _heads(self) -> list[Any]:
        return [*self.unimodal_heads.values(), self.fusion_head]

    def _encode(self, name: str, x: Tensor) -> Tensor:
        encoder = self.encoders[name]
        try:
            if self.training and x.shape[0] < 2:
                with running_statistics(encoder):
                    features = encoder(x)
            else:
                features = encoder(x)
        except MedmdError as error:
            msg = f"Modality {name!r}: {error}"
            raise MedmdError(msg) from error
        token = self.tokens[name]
        if features.ndim != 2 or features.shape[1] != token.shape[0]:
            msg = f"Encoder of {name!r}: expected (B, {token.shape[0]}) features, got {tuple(features.shape)}."
            raise ValueError(msg)
        return features.to(token.dtype)

    def _modality(
        self, name: str, inputs: Mapping[str, Tensor], having: list[int] | None, rows: int
    ) -> tuple[Tensor, Tensor]:
        if having is None:
            features = self._encode(name, inputs[name])
            return features, self.unimodal_heads[name](features)
        token = self.tokens[name]
        features = token.expand(rows, -1)
        predictions = token.new_full((rows,), torch.nan)
        if not having:
            return features, predictions
        x = inputs[name]
        index = torch.tensor(having, device=x.device)
        encoded = self._encode(name, x.index_select(0, index))
        unimodal = self.unimodal_heads[name](encoded)
        return features.index_copy(0, index, encoded), predictions.index_copy(0, index, unimodal)

    def _readout(self, features: dict[str, Tensor], unimodal: dict[str, Tensor]) -> Predictions:
        fused = torch.cat([features[name] for name in self.modalities], dim=1)
        return Predictions(self.fusion_head(fused), unimodal, features)

    def _encode_densely(
        self, inputs: Mapping[str, Tensor], present: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        # A traced graph cannot choose rows by their content. Evaluation gives the same numbers either way.
        features: dict[str, Tensor] = {}
        unimodal: dict[str, Tensor] = {}
        for column, name in enumerate(self.modalities):
            token = self.tokens[name]
            if name not in inputs:
                features[name] = token.expand(present.shape[0], -1)
                unimodal[name] = token.new_full((present.shape[0],), torch.nan)
                continue
            here = present[:, column]
            encoded = self._encode(name, inputs[name])
            features[name] = torch.where(here[:, None], encoded, token)
            unimodal[name] = torch.where(here, self.unimodal_heads[name](encoded), torch.nan)
        return features, unimodal
