"""Weights of labels by how rare they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medmd.losses._inputs import check_range


def label_weights(centres: Sequence[float], density: Sequence[float], *, power: float) -> Tensor:
    """(bins,) float64, density^-power, scaled to a mean of 1 over the cases of the histogram.

    Args:
        centres: of the bins.
        density: number of cases of each bin, at least 0; a bin of 0 takes the smallest one above.
        power: 0 for equal weights, 1 for the inverse density.

    Raises:
        ValueError: an argument is outside its range, or the lists differ in length.
    """
    if len(centres) != len(density) or not any(value > 0 for value in density):
        msg = f"density: expected {len(centres)} numbers of at least 0, not all 0; got {len(density)}."
        raise ValueError(msg)
    for value in density:
        check_range("density", value, low=0.0)
    common = torch.tensor(density, dtype=torch.float64)
    common = common.clamp(min=float(common[common > 0].min()))
    weights = common**-power
    return weights * common.sum() / (weights * common).sum()


def place(target: Tensor, *, first: float, width: float, number: int) -> Tensor:
    """(B,) position of the bin whose centre is nearest."""
    return ((target - first) / width).round().long().clamp(0, number - 1)
