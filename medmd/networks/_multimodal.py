"""What all multimodal networks share: encoders, tokens for absent inputs, and which rows run through which encoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from medmd.networks._feature_widths import feature_widths
from medmd.networks._predictions import Predictions
from medmd.networks._presence import Presence, all_rows, batch_size, indices, present_rows, where_present
from medmd.networks._running_statistics import running_statistics
from medmd.utils import MedmdError


class MultimodalNetwork(nn.Module, ABC):
    """Encoders of K >= 1 modalities, any of which may be absent in a row, and a head on each feature.

    A learned token stands for the feature of an absent modality, and an encoder runs on the rows that have its modality
    only. Subclasses set `unimodal_heads` (one head a modality, with the attribute `output_shape`) and say in `_readout`
    what becomes of features and outputs.

    Batch norm in training mode with a single row uses its running statistics, which are then left unchanged; with no
    row the encoder is not run. In evaluation mode a row's prediction does not depend on the other rows.

    Values are not searched for NaN: on an accelerator that would synchronise every step. What stands in an absent
    modality's rows is never read, NaN included.

    Args:
        encoders: by modality, a module (B, ...) -> (B, out_features) with the attribute `out_features`. The order is
            that of the columns of `present`.

    Raises:
        MedmdError: no encoder, or a name that cannot be used.
        TypeError: an encoder that is no module or has no `out_features`.
        ValueError: one encoder for two modalities.
    """

    unimodal_heads: nn.ModuleDict
    output_shape: tuple[int, ...] = ()

    def __init__(self, encoders: Mapping[str, nn.Module]) -> None:
        super().__init__()
        widths = feature_widths(encoders)
        self.encoders = nn.ModuleDict(encoders)
        self.tokens = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name, width in widths.items()})

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of the columns of `present`."""
        return tuple(self.encoders)

    @property
    def widths(self) -> dict[str, int]:
        """By modality, the length of its feature."""
        # By the modalities: a ParameterDict sorts its names.
        return {name: int(self.tokens[name].shape[0]) for name in self.modalities}

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
            return self._densely(inputs, present)
        having = all_rows(inputs, self.modalities)
        if present is not None:
            having = present_rows(present, inputs, self.modalities, rows)
        places = indices(having, inputs)
        encoded = self._encode_present(inputs, places)
        features: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        for name in self.modalities:
            features[name], outputs[name] = self._spread(name, encoded.get(name), places.get(name), rows)
        return self._predict(features, outputs, having)

    def forward_unimodal(self, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction (B,) in dB and feature (B, d) of one modality that every row has.

        Raises:
            MedmdError: an unknown name or a shape that the encoder cannot take.
        """
        batch_size({name: x}, self.modalities)
        features = self._encode(name, x)
        return self._prediction(self._alone(name, features)), features

    @abstractmethod
    def set_output_bias(self, mean: Any) -> None:
        """Start every head at the mean of the training targets, or what stands for it."""

    def set_target_statistics(self, statistics: Mapping[str, Any]) -> None:
        """Start from what is known of the training targets: `set_output_bias` of the entry `start`, else of `mean`.

        Args:
            statistics: as `medmd.data.target_statistics` gives them.
        """
        self.set_output_bias(statistics["start"] if "start" in statistics else statistics["mean"])

    def encoder_parameters(self) -> dict[str, list[nn.Parameter]]:
        """By modality, the trainable parameters of its encoder."""
        return {
            name: [parameter for parameter in encoder.parameters() if parameter.requires_grad]
            for name, encoder in self.encoders.items()
        }

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that several objectives reach: those of all encoders, modality by modality."""
        return list(chain.from_iterable(self.encoder_parameters().values()))

    @abstractmethod
    def _readout(self, features: dict[str, Tensor], outputs: dict[str, Tensor]) -> Predictions:
        """From features (B, d) and outputs of the unimodal heads (B, ...), NaN where absent, to predictions."""

    def _predict(self, features: dict[str, Tensor], outputs: dict[str, Tensor], having: Presence) -> Predictions:
        """As `_readout`, for those that must know which rows have what."""
        return self._readout(features, outputs)

    def _alone(self, name: str, features: Tensor) -> Tensor:
        """What a modality's own head makes of its features."""
        found: Tensor = self.unimodal_heads[name](features)
        return found

    def _prediction(self, output: Tensor) -> Tensor:
        """The prediction in an output of a unimodal head."""
        return output

    def _encode_present(self, inputs: Mapping[str, Tensor], places: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """By modality, the features of the rows at `places`, which are all rows where None."""
        return {name: self._encode(name, take(inputs[name], place)) for name, place in places.items()}

    def _encode_dense(self, inputs: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By modality, the features of all rows, of which only those with `here` are used."""
        return {name: self._encode(name, x) for name, x in inputs.items()}

    def _encode(self, name: str, x: Tensor) -> Tensor:
        with self._running(name, self.encoders[name], x):
            features = self.encoders[name](x)
        return self._checked(name, features)

    @contextmanager
    def _running(self, name: str, module: nn.Module, x: Tensor) -> Iterator[None]:
        """Around a part of an encoder, which keeps its statistics when `x` is a single row."""
        alone = self.training and x.shape[0] < 2
        try:
            with running_statistics(module) if alone else nullcontext():
                yield
        except MedmdError as error:
            msg = f"Modality {name!r}: {error}"
            raise MedmdError(msg) from error

    def _checked(self, name: str, features: Tensor) -> Tensor:
        token = self.tokens[name]
        if features.ndim != 2 or features.shape[1] != token.shape[0]:
            msg = f"Encoder of {name!r}: expected (B, {token.shape[0]}) features, got {tuple(features.shape)}."
            raise ValueError(msg)
        return features.to(token.dtype)

    def _spread(self, name: str, encoded: Tensor | None, place: Tensor | None, rows: int) -> tuple[Tensor, Tensor]:
        """Features and head outputs of all rows: token and NaN where the modality is absent."""
        if encoded is not None and place is None:
            return encoded, self._alone(name, encoded)
        token = self.tokens[name]
        features = token.expand(rows, -1)
        outputs = token.new_full((rows, *self.output_shape), torch.nan)
        if encoded is None or place is None:
            return features, outputs
        return features.index_copy(0, place, encoded), outputs.index_copy(0, place, self._alone(name, encoded))

    def _densely(self, inputs: Mapping[str, Tensor], present: Tensor) -> Predictions:
        # A traced graph cannot choose rows by their content. Evaluation gives the same numbers either way.
        columns = dict(zip(self.modalities, present.unbind(1), strict=True))
        here = {name: column if name in inputs else torch.zeros_like(column) for name, column in columns.items()}
        encoded = self._encode_dense(inputs, here)
        features: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        for name in self.modalities:
            if name not in inputs:
                features[name], outputs[name] = self._spread(name, None, None, present.shape[0])
                continue
            features[name] = torch.where(here[name][:, None], encoded[name], self.tokens[name])
            outputs[name] = where_present(here[name], self._alone(name, encoded[name]), torch.nan)
        return self._predict(features, outputs, here)


def take(x: Tensor, place: Tensor | None) -> Tensor:
    """The rows of `x` at `place`, all of them when None."""
    return x if place is None else x.index_select(0, place)
