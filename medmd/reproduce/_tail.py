"""Errors where labels are many, medium and few."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from medmd.utils import MedmdError

# Density of training labels relative to its peak: many from a half on, few below a tenth.
MANY, FEW = 0.5, 0.1
GROUPS = ("many", "medium", "few")
_GRID = 1000
_FEWEST = 10


class Regions(NamedTuple):
    """Where labels are many, medium and few.

    Attributes:
        grid: (G,) label values.
        relative: (G,) density of training labels there, 1 at its peak.
        labels: how many there are.
        span: the least and the largest of them.
    """

    grid: NDArray[np.float64]
    relative: NDArray[np.float64]
    labels: int
    span: tuple[float, float]

    def groups(self, target: Any) -> dict[str, NDArray[np.bool_]]:
        """Which targets (N,) lie in which region; beyond the training labels' range they are few."""
        density = np.interp(np.asarray(target, dtype=np.float64), self.grid, self.relative, left=0.0, right=0.0)
        many, few = density >= MANY, density < FEW
        return {"many": many, "medium": ~many & ~few, "few": few}

    def edges(self) -> dict[str, list[tuple[float, float]]]:
        """The intervals of each region between the least and the largest label."""
        found: dict[str, list[tuple[float, float]]] = {}
        low, high = self.span
        # The density's grid goes on where no label is.
        values = np.concatenate([[low], self.grid[(self.grid > low) & (self.grid < high)], [high]])
        for name, inside in self.groups(values).items():
            starts = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(int)])) == 1)
            ends = np.flatnonzero(np.diff(np.concatenate([inside.astype(int), [0]])) == -1)
            found[name] = [(float(values[a]), float(values[b])) for a, b in zip(starts, ends, strict=True)]
        return found


def density_regions(labels: Any) -> Regions:
    """Regions from the density of training labels.

    The density is a Gaussian kernel estimate with Scott's bandwidth. A label is `many` where it is at least half of its
    peak, `few` where it is below a tenth, else `medium`; so that the regions do not depend on the unit, the number of
    cases or the width of bins, as the counts per bin of deep imbalanced regression (Yang et al. 2021) do.

    Args:
        labels: (N,) of the training cases.

    Raises:
        MedmdError: fewer than ten labels, or all equal.
    """
    values = np.asarray(labels, dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < _FEWEST or values.min() == values.max():
        many = f"{len(values)} ({len(np.unique(values))} different)"
        msg = f"density of labels: expected {_FEWEST} training labels at least, not all equal, got {many}."
        raise MedmdError(msg)
    estimate = gaussian_kde(values)
    margin = 3 * float(np.sqrt(estimate.covariance[0, 0]))
    grid = np.linspace(values.min() - margin, values.max() + margin, _GRID)
    density = estimate(grid)
    return Regions(grid, density / density.max(), len(values), (float(values.min()), float(values.max())))
