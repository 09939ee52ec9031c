"""The multimodal network with a class, not a number, as its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from medmd.networks._heads import ClassificationHead
from medmd.networks._regressor import MultimodalRegressor
from medmd.utils import MedmdError


class MultimodalClassifier(MultimodalRegressor):
    """Predict one of C classes from any subset of K >= 1 modalities.

    As `MultimodalRegressor`, whose heads are replaced by heads of C logits: an encoder and a head a modality, a head on
    the concatenation, a learned token for an absent modality. The methods of Re-M3Dr's comparison (OGM-GE, MMPareto)
    were made for this form. `Predictions.fusion` and every entry of `unimodal` are (B, C) logits, NaN in the rows in
    which the modality is absent.

    Args:
        encoders: by modality, a module (B, ...) -> (B, out_features) with the attribute `out_features`.
        classes: C, at least 2.
        fusion_hidden: width of a hidden ReLU layer in the fused head; None for a linear head.

    Raises:
        MedmdError: fewer than two classes, no encoder, or a name that cannot be used.
        TypeError: an encoder that is no module or has no `out_features`.
        ValueError: one encoder for two modalities.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], *, classes: int, fusion_hidden: int | None = None) -> None:
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
            msg = f"network#classes: expected a whole number of at least 2, got {classes!r}."
            raise MedmdError(msg)
        self.classes = classes
        self.output_shape = (classes,)
        super().__init__(encoders, fusion_hidden=fusion_hidden)

    def set_output_bias(self, mean: float | Sequence[float]) -> None:
        """Start every head at the logarithms of the classes' frequencies in the training set.

        Args:
            mean: (C,) frequencies, each above 0; `target_statistics` gives them as `start`.

        Raises:
            MedmdError: not one number above 0 for each class.
        """
        for head in self._heads():
            head.set_bias(mean)

    def _head(self, in_features: int, *, hidden: int | None = None) -> nn.Module:
        return ClassificationHead(in_features=in_features, classes=self.classes, hidden=hidden)
