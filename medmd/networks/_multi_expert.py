"""EchoMEN's stage 2: several linear experts on features that no longer change, and who of them to believe."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from medmd.networks._checks import check_positive
from medmd.networks._heads import RegressionHead, without_autocast
from medmd.networks._predictions import Predictions
from medmd.networks._regressor import MultimodalRegressor


class MultiExpertHead(RegressionHead):
    """A linear head, and M experts that begin as the same function; called alone it is the linear head.

    Args:
        in_features: length of the feature vector.
        experts: M, at least 1.

    Raises:
        MedmdError: an argument below 1.
    """

    def __init__(self, *, in_features: int, experts: int) -> None:
        super().__init__(in_features=in_features)
        check_positive(experts=experts)
        # What an expert adds to the linear head; zero makes stage 2 begin where stage 1 ended.
        self.experts = _zero_linear(in_features, experts)
        self.aggregator = _zero_linear(in_features, experts)

    def mixture(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, in_features) -> (B, M) what each expert adds in dB, and (B, M) its share, which sum to 1."""
        with without_autocast(features):
            features = features.to(self.experts.weight.dtype)
            return self.experts(features), torch.softmax(self.aggregator(features), dim=1)


class MultiExpertRegressor(MultimodalRegressor):
    """`MultimodalRegressor` with M linear experts and a softmax aggregator in the place of every linear head.

    Source: Lai et al., EchoMEN: Combating Data Imbalance in Ejection Fraction Regression via Multi-Expert Network,
    MICCAI 2024, with `medmd.losses.MultiExpertLoss` in stage 2, in which `train#trainer#frozen` keeps the encoders and
    the linear heads of stage 1 as they are.

    Deviations: made for one input, here each modality and the fused features have experts and an aggregator of their
    own, so that the method can be read for one modality too; an expert is the linear head of stage 1 plus what stage 2
    adds to it, which is a linear function like any other, and stage 1 sees the linear head alone.

    Args:
        encoders: as in `MultimodalRegressor`.
        experts: M, at least 1.

    `extras` of its predictions hold, for `fusion` and for each modality, `experts_<name>` (B, M) in dB, NaN in rows
    without the modality, and `shares_<name>` (B, M).

    Raises:
        MedmdError: as `MultimodalRegressor`, or `experts` below 1.
    """

    def __init__(self, encoders: Mapping[str, nn.Module], *, experts: int = 3) -> None:
        super().__init__(encoders)
        self.unimodal_heads = nn.ModuleDict(
            {name: MultiExpertHead(in_features=width, experts=experts) for name, width in self.widths.items()}
        )
        self.fusion_head = MultiExpertHead(in_features=sum(self.widths.values()), experts=experts)
        # No stage 1 has trained it: the experts of the fused features begin at the mean target.
        nn.init.zeros_(self.fusion_head.output.weight)

    def _readout(self, features: dict[str, Tensor], outputs: dict[str, Tensor]) -> Predictions:
        plain = super()._readout(features, outputs)
        fused = torch.cat([features[name] for name in self.modalities], dim=1)
        extras: dict[str, Tensor] = {}
        fusion = _mix("fusion", self.fusion_head, fused, plain.fusion, extras)
        mixed = {
            name: _mix(name, self.unimodal_heads[name], features[name], plain.unimodal[name], extras)
            for name in self.modalities
        }
        return Predictions(fusion, mixed, features, extras)


def _mix(name: str, head: nn.Module, features: Tensor, linear: Tensor, extras: dict[str, Tensor]) -> Tensor:
    added, shares = head.mixture(features)  # type: ignore[operator]
    extras[f"experts_{name}"] = linear[:, None] + added
    extras[f"shares_{name}"] = shares
    # The linear part stands outside the product: NaN of an absent modality would reach the aggregator's gradient.
    return linear + (shares * added).sum(dim=1)


def _zero_linear(in_features: int, out_features: int) -> nn.Linear:
    layer = nn.Linear(in_features, out_features)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
