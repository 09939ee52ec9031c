"""An encoder for a row of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medmd.networks._checks import check_choice, check_positive, check_share
from medmd.utils import MedmdError

# A component that hardly varies in training may lie a thousand spreads away in another case.
_FARTHEST = 10.0


class VectorEncoder(nn.Module):
    """An MLP for numbers such as age, RNFL thicknesses or audio and text features.

    Args:
        in_features: length n of the vector.
        hidden: widths of the hidden layers.
        out_features: length of the feature.
        norm: what follows each linear layer: `none`, `layer` or `batch`.
        dropout: share of activations dropped after each layer, in [0, 1).
        standardize: whether each component is brought to zero mean and unit spread, and to within 10 spreads, before
            the first layer, by the constants of `set_statistics`. They are stored with the weights, so that a model
            carries those of its own training; until they are set they are 0 and 1.

    Raises:
        MedmdError: an argument out of its range.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        in_features: int,
        hidden: Sequence[int] = (32,),
        out_features: int = 32,
        norm: str = "none",
        dropout: float = 0.0,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        check_choice("norm", norm, ("none", "layer", "batch"))
        check_positive(in_features=in_features, out_features=out_features)
        check_positive(**{f"hidden[{index}]": width for index, width in enumerate(hidden)})
        check_share(dropout=dropout)
        self.in_features = in_features
        self.out_features = out_features
        self.standardize = standardize
        if standardize:
            self.register_buffer("mean", torch.zeros(in_features))
            self.register_buffer("std", torch.ones(in_features))
        widths = [in_features, *hidden, out_features]
        self.layers = nn.Sequential(
            *(_layer(widths[index], widths[index + 1], norm, dropout) for index in range(len(widths) - 1))
        )

    def set_statistics(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take the constants of the standardisation, in the vector's units.

        Raises:
            MedmdError: the encoder does not standardise, the numbers are not `in_features`, or a `std` is not above 0.
        """
        fits = len(mean) == len(std) == self.in_features and all(value > 0 for value in std)
        if not (self.standardize and fits):
            msg = (
                f"set_statistics: expected an encoder with standardize, {self.in_features} means and as many std above "
                f"0, got standardize={self.standardize}, {len(mean)} and {len(std)}."
            )
            raise MedmdError(msg)
        with torch.no_grad():
            self.mean.copy_(torch.tensor(mean))
            self.std.copy_(torch.tensor(std))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_features) -> (B, out_features), not negative."""
        if x.ndim != 2 or x.shape[1] != self.in_features:
            msg = f"expected shape (B, {self.in_features}), got {tuple(x.shape)}."
            raise MedmdError(msg)
        if self.standardize:
            x = ((x - self.mean) / self.std).clamp(-_FARTHEST, _FARTHEST)
        return self.layers(x)


def _layer(before: int, after: int, norm: str, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(before, after)]
    if norm == "layer":
        layers.append(nn.LayerNorm(after))
    if norm == "batch":
        layers.append(nn.BatchNorm1d(after))
    layers.append(nn.ReLU(inplace=True))
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
