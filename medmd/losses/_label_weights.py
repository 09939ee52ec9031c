"""Weights of labels by how rare they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medmd.losses._inputs import check_range
from medmd.utils import BOUNDARY_TOLERANCE


def label_weights(
    centres: Sequence[float], density: Sequence[float], *, power: float, counts: Sequence[float] | None = None
) -> Tensor:
    """(bins,) float64, density^-power, scaled to a mean of 1 over the cases.

    Args:
        centres: of the bins.
        density: number of cases of each bin, smoothed or not, at least 0; a bin of 0 takes the smallest one above.
        power: 0 for equal weights, 1 for the inverse density.
        counts: number of cases of each bin over which the mean is taken, at least 0; the density by default.

    Raises:
        ValueError: an argument is outside its range, or the lists differ in length.
    """
    common = torch.tensor(_numbers("density", density, len(centres)), dtype=torch.float64)
    shares = common
    if counts is not None:
        shares = torch.tensor(_numbers("counts", counts, len(centres)), dtype=torch.float64)
    weights = common.clamp(min=float(common[common > 0].min())) ** -power
    return weights * shares.sum() / (weights * shares).sum()


def place(target: Tensor, *, first: float, width: float, number: int) -> Tensor:
    """(B,) position of the bin that holds each label, the lower boundary its own; outside, that of the nearest bin."""
    inside = (target - first) / width + (0.5 + BOUNDARY_TOLERANCE)
    return inside.floor().long().clamp(0, number - 1)


def _numbers(name: str, values: Sequence[float], length: int) -> list[float]:
    if len(values) != length or not any(value > 0 for value in values):
        msg = f"{name}: expected {length} numbers of at least 0, not all 0; got {len(values)}."
        raise ValueError(msg)
    return [check_range(name, value, low=0.0) for value in values]
