"""The network of EyeMoSt: each modality gives a distribution, and Student's t distributions are mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from medmd.networks._checks import check_positive
from medmd.networks._heads import without_autocast
from medmd.networks._multimodal import MultimodalNetwork
from medmd.networks._predictions import Predictions
from medmd.networks._presence import Presence, mask_of
from medmd.utils import MedmdError

# Of v and of alpha - 1: without it v = 0 divides by zero and alpha = 1 has no variance.
_LEAST = 1e-3
_MOST = 20.0
_LEAST_BETA = 0.2
_PARTS = ("gamma", "v", "alpha", "beta")


class EvidentialHead(nn.Module):
    """Four two-layer perceptrons on one feature, in the precision of their weights also under autocast.

    Args:
        in_features: length of the feature vector.
        hidden: width of each hidden ReLU layer.

    Raises:
        MedmdError: a width below 1.
    """

    def __init__(self, *, in_features: int, hidden: int = 64) -> None:
        super().__init__()
        check_positive(in_features=in_features, hidden=hidden)
        self.parts = nn.ModuleDict(
            {
                part: nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 1))
                for part in _PARTS
            }
        )
        self.start()

    def start(self) -> None:
        """Make the last biases zero, so that features of no size mean the average target."""
        for part in self.parts.values():
            nn.init.zeros_(part[-1].bias)  # type: ignore[index]

    def forward(self, features: Tensor) -> Tensor:
        """(B, in_features) -> (B, 4): location, v, alpha, beta for a standardised target."""
        with without_autocast(features):
            features = features.to(self.parts["gamma"][0].weight.dtype)  # type: ignore[index]
            gamma, v, alpha, beta = (part(features) for part in self.parts.values())
            v, alpha = _bounded(v, _LEAST, _MOST), 1 + _bounded(alpha, _LEAST, _MOST - 1)
            return torch.cat([gamma, v, alpha, _LEAST_BETA + softplus(beta)], dim=1)


class EvidentialRegressor(MultimodalNetwork):
    """Predict a distribution of one number (MD, dB) from any subset of K >= 1 modalities.

    Source: Zou et al., Reliable Multimodality Eye Disease Screening via Mixture of Student's t Distributions (EyeMoSt),
    MICCAI 2023, for `medmd.losses.EvidentialLoss`. Four heads a modality give a normal-inverse-gamma distribution
    (g, v, alpha, beta), whose marginal is Student's t with df = 2 alpha, location g and squared scale
    S = beta (1 + v) / (v alpha). Of the mixture, df_F is the least df, g_F the mean of locations weighed by df, and
    its variance the mean of the variances S df / (df - 2), so that S_F = (df_F - 2) / df_F of it.

    For two modalities this is the paper's rule, the scale of the one with more freedom being matched in variance to
    the df of the other. For more, the paper folds the distributions pair by pair in the order of df, which depends on
    how ties are broken and weighs the first ones less; the mean over all does not. A modality that is absent takes no
    part, and with one modality the mixture is that modality.

    Deviations: v and alpha are kept in [0.001, 20] and [1.001, 20] by a curve without corners, where the authors' code
    cuts them off, which gives no gradient back, and has no lower bound; the scale is the scale, not its square; the
    network puts out the unit of the target by constants (`set_target_statistics`) that are stored with the weights.

    Args:
        encoders: by modality, a module (B, ...) -> (B, out_features) with the attribute `out_features`. The order is
            that of the columns of `present`.
        hidden: width of the hidden layer of each head.

    `Predictions.fusion` is g_F and `unimodal` each g, in dB. `extras` hold by modality `gamma_<name>`, `v_<name>`,
    `alpha_<name>`, `beta_<name>` (dB²), `variance_<name>` (dB², of a new measurement), NaN where absent, and
    `df_fusion`, `scale_fusion` (dB), `variance_fusion` (dB²), each (B,).

    Raises:
        MedmdError: as `MultimodalRegressor`, or a width below 1.
    """

    output_shape = (len(_PARTS),)
    target_mean: Tensor
    target_std: Tensor

    def __init__(self, encoders: Mapping[str, nn.Module], *, hidden: int = 64) -> None:
        super().__init__(encoders)
        # Nothing reads them but who looks at the features: an absent modality takes no part.
        self.tokens.requires_grad_(False)
        self.unimodal_heads = nn.ModuleDict(
            {name: EvidentialHead(in_features=width, hidden=hidden) for name, width in self.widths.items()}
        )
        self.register_buffer("target_mean", torch.zeros(()))
        self.register_buffer("target_std", torch.ones(()))

    def set_output_bias(self, mean: float) -> None:
        """Start every head at the mean target (dB) of the training set; its spread is left as it is."""
        self._set(mean, float(self.target_std))

    def set_target_statistics(self, statistics: Mapping[str, Any]) -> None:
        """Start every head at the training targets' `mean`, and count in their `std` (dB).

        Raises:
            MedmdError: one of them is not finite, or the `std` is not above 0.
        """
        self._set(statistics["mean"], statistics["std"])

    def _set(self, mean: float, std: float) -> None:
        if not (abs(mean) < float("inf") and 0 < std < float("inf")):
            msg = f"Target statistics: expected a finite mean and a std above 0, got {mean} and {std}."
            raise MedmdError(msg)
        with torch.no_grad():
            self.target_mean.fill_(mean)
            self.target_std.fill_(std)
        for head in self.unimodal_heads.values():
            head.start()  # type: ignore[operator]

    def _alone(self, name: str, features: Tensor) -> Tensor:
        gamma, v, alpha, beta = self.unimodal_heads[name](features).unbind(1)
        return torch.stack([self.target_mean + self.target_std * gamma, v, alpha, self.target_std**2 * beta], dim=1)

    def _prediction(self, output: Tensor) -> Tensor:
        return output[:, 0]

    def _readout(self, features: dict[str, Tensor], outputs: dict[str, Tensor]) -> Predictions:
        return self._predict(features, outputs, dict.fromkeys(self.modalities))

    def _predict(self, features: dict[str, Tensor], outputs: dict[str, Tensor], having: Presence) -> Predictions:
        stacked = torch.stack([outputs[name] for name in self.modalities], dim=1)
        here = torch.stack([mask_of(having[name], outputs[name]) for name in self.modalities], dim=1)
        # Chosen before any arithmetic: NaN times zero is NaN, in the gradient too. Any numbers do for the others.
        some = stacked.new_tensor([0.0, 1.0, 2.0, 1.0]).expand_as(stacked)
        location, df, scale, variance = mix_student_t(torch.where(here[:, :, None], stacked, some), here)
        extras = {"df_fusion": df, "scale_fusion": scale, "variance_fusion": variance}
        for name, output in outputs.items():
            extras |= {f"{part}_{name}": values for part, values in zip(_PARTS, output.unbind(1), strict=True)}
            extras[f"variance_{name}"] = _variance(output)
        unimodal = {name: output[:, 0] for name, output in outputs.items()}
        return Predictions(location, unimodal, features, extras)


def mix_student_t(parameters: Tensor, here: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The mixture of the marginals of K normal-inverse-gamma distributions.

    Args:
        parameters: (B, K, 4) location, v, alpha, beta; finite everywhere.
        here: (B, K) bool, which take part; at least one in every row.

    Returns:
        Location, degrees of freedom, scale (not squared) and variance, each (B,).
    """
    freedom = 2 * parameters[..., 2]
    weights = torch.where(here, freedom, 0.0)
    location = (weights * parameters[..., 0]).sum(1) / weights.sum(1)
    least = torch.where(here, freedom, torch.inf).amin(1)
    variance = torch.where(here, _variance(parameters), 0.0).sum(1) / here.sum(1)
    return location, least, torch.sqrt(variance * (least - 2) / least), variance


def _variance(parameters: Tensor) -> Tensor:
    """Predictive variance beta (1 + v) / (v (alpha - 1)) of (..., 4) parameters."""
    _, v, alpha, beta = parameters.unbind(-1)
    return beta * (1 + v) / (v * (alpha - 1))


def _bounded(raw: Tensor, low: float, high: float) -> Tensor:
    """Softplus for small values, but never outside [low, high], and never without a slope."""
    span = high - low
    return low - span * torch.expm1(-softplus(raw) / span)
