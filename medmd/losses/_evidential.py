"""Likelihoods of evidential regression and the losses of EyeMoSt and EyeMoSt+."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from medmd.losses._inputs import check_range, full_precision
from medmd.utils import MedmdError

_PARTS = ("gamma", "v", "alpha", "beta", "variance")


class EvidentialPredictions(Protocol):
    """What the loss reads of `medmd.networks.Predictions` of an `EvidentialRegressor`."""

    @property
    def fusion(self) -> Tensor:
        """(B,) location of the mixture."""

    @property
    def extras(self) -> Mapping[str, Tensor]:
        """By name, (B,) parameters of the distributions."""


def student_t_nll(error: Tensor, df: Tensor, scale: Tensor) -> Tensor:
    """Negative log density of Student's t at `error` from its location.

    Args:
        error: target minus location, in any unit.
        df: degrees of freedom, above 0.
        scale: in the unit of `error`, above 0: the scale itself, as `torch.distributions.StudentT` takes it. The public
            code of EyeMoSt passes its square there, which is another distribution.
    """
    normaliser = torch.lgamma(df / 2) - torch.lgamma((df + 1) / 2) + 0.5 * torch.log(math.pi * df) + torch.log(scale)
    return normaliser + (df + 1) / 2 * torch.log1p((error / scale).square() / df)


def nig_nll(error: Tensor, v: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Negative log marginal likelihood of one observation under a normal-inverse-gamma prior.

    Source: Amini et al., Deep Evidential Regression, NeurIPS 2020, eq. 8, with W = 2 beta (1 + v):
    log(pi / v) / 2 - alpha log W + (alpha + 1/2) log(v e² + W) + lgamma(alpha) - lgamma(alpha + 1/2).
    It is the density of Student's t with 2 alpha degrees of freedom and the squared scale beta (1 + v) / (v alpha).

    Args:
        error: target minus location.
        v: above 0, how many observations the location is worth.
        alpha: above 0 (above 1 for a finite variance).
        beta: above 0, in the squared unit of `error`.
    """
    omega = 2 * beta * (1 + v)
    powers = -alpha * torch.log(omega) + (alpha + 0.5) * torch.log(v * error.square() + omega)
    return 0.5 * torch.log(math.pi / v) + powers + torch.lgamma(alpha) - torch.lgamma(alpha + 0.5)


class EvidentialLoss(nn.Module):
    """What EyeMoSt and EyeMoSt+ minimise, for regression; a loss of the whole output of an `EvidentialRegressor`.

    Source: Zou et al., Reliable Multimodality Eye Disease Screening via Mixture of Student's t Distributions (EyeMoSt),
    MICCAI 2023, and its extension EyeMoSt+. A modality's loss is the mean over its rows of
    NIG-NLL + `regulariser` |y - g| (2 v + alpha), which takes evidence back where it is wrong (Amini et al., eq. 9);
    the fused one the mean over rows of St-NLL of the mixture, and with `ranking` that of
    `ranking` sum over k of relu(c_k - c_F) [|y - g_k| <= |y - g_F|], c = 1 / predictive variance: a modality that is
    right and surer than the mixture asks the mixture to be as sure.

    Deviations. The papers grade disease; here one target takes the place of one-hot labels, and cross-entropies have
    none. The Student's t has its scale, not the square of it. "Right" means no farther from the target than the
    mixture, and confidence, a softmax there, is the inverse variance in units of the training variance; since the
    mixture's variance is the mean of the parts', the ranking is content only where all are equally sure. Such
    confidences have no bound, so the bundle's EyeMoSt+ takes `ranking` 0.1 where the paper has 10. Targets are
    standardised inside by `std`, so that predictions stay in their unit; that changes values by a constant and no
    gradient of a likelihood.

    Args:
        std: standard deviation of the training targets, dB, above 0.
        regulariser: weight of the evidence regulariser, at least 0 (0.01 to 0.1 in the sources).
        ranking: weight of the ranking of confidences, at least 0: 0 is EyeMoSt.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, std: float, regulariser: float = 0.05, ranking: float = 0.0) -> None:
        super().__init__()
        self.std = check_range("std", std, low=0.0, open_low=True)
        self.regulariser = check_range("regulariser", regulariser, low=0.0)
        self.ranking = check_range("ranking", ranking, low=0.0)

    def losses(
        self, predictions: EvidentialPredictions, target: Tensor, rows: Mapping[str, Tensor | None]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The fused loss and each modality's own.

        Args:
            predictions: with `extras` `gamma_<modality>`, `v_…`, `alpha_…`, `beta_…`, `variance_…` and `df_fusion`,
                `scale_fusion`, `variance_fusion`, each (B,), in dB and dB².
            target: (B,), dB.
            rows: by modality the indices of the rows that have it, None for all.

        Raises:
            MedmdError: the predictions are not those of an evidential network.
        """
        extras = predictions.extras
        if "df_fusion" not in extras:
            msg = (
                "EvidentialLoss: expected predictions with the extras of medmd.networks.EvidentialRegressor, got "
                f"{sorted(extras)}. Set network#_target_ to it."
            )
            raise MedmdError(msg)
        with full_precision(target.device):
            error = (target - predictions.fusion) / self.std
            fused = student_t_nll(error, extras["df_fusion"], extras["scale_fusion"] / self.std)
            unimodal = {}
            for name, found in rows.items():
                own = {part: _of(extras[f"{part}_{name}"], found) for part in _PARTS}
                own_error = (_of(target, found) - own["gamma"]) / self.std
                unimodal[name] = self._own(own_error, own)
                if self.ranking:
                    sure = self.std**2 / own["variance"] - _of(self.std**2 / extras["variance_fusion"], found)
                    right = own_error.detach().abs() <= _of(error, found).detach().abs()
                    fused = _add(fused, self.ranking * torch.relu(sure) * right, found)
            return fused.mean(), unimodal

    def _own(self, error: Tensor, own: Mapping[str, Tensor]) -> Tensor:
        if not len(error):
            return error.new_zeros(())
        likelihood = nig_nll(error, own["v"], own["alpha"], own["beta"] / self.std**2)
        return (likelihood + self.regulariser * error.abs() * (2 * own["v"] + own["alpha"])).mean()


def _of(values: Tensor, rows: Tensor | None) -> Tensor:
    return values if rows is None else values[rows]


def _add(values: Tensor, more: Tensor, rows: Tensor | None) -> Tensor:
    return values + more if rows is None else values.index_add(0, rows, more)
