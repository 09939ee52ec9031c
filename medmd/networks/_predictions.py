"""What one forward pass of a multimodal regressor gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor


class Predictions(NamedTuple):
    """Outputs of one forward pass over B eyes.

    Attributes:
        fusion: (B,) prediction of the fused head, dB.
        unimodal: by modality, (B,) prediction of that modality's own head, dB; NaN where the modality is absent, so
            that a loss which forgets to leave those rows out is noticed at once.
        features: by modality, (B, d) what the fused head saw: the encoder's output, or the learned token where absent.
        extras: (B, ...) further outputs by name, for losses that need more than the predictions; mostly empty.
    """

    fusion: Tensor
    unimodal: dict[str, Tensor]
    features: dict[str, Tensor]
    extras: Mapping[str, Tensor] = MappingProxyType({})
