"""Which patients a replicate holds, as weights of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmd.metrics._inputs import Vector
from medmd.metrics._weighted import Matrix

# Weights of one block. Ranks make several passes over a block; small blocks stay in the cache (1.5 times as fast).
_BLOCK = 100_000


class Resampling:
    """Replicates that draw whole patients, and seeds or other crossed groups when given.

    Of P patients P are drawn; of S groups, which are few, S - 1, so that the mean over the drawn ones varies by
    s**2 / S with s**2 the usual estimate, of S - 1 degrees of freedom; S draws would vary by (S - 1) / S of that (Rao
    and Wu 1988).

    Args:
        patients: (N,) the patient of each row.
        groups: (N,) or None, a second factor crossed with the patients, drawn on its own (for example the training
            seed of a row). A row's weight is then the product of both counts.
        replicates: how many.
        seed: of the draws. They depend on the sets of names only, not on the order of the rows.
    """

    def __init__(self, patients: Any, groups: Any | None = None, *, replicates: int, seed: int) -> None:
        if replicates < 1:
            msg = f"replicates must be at least 1, got {replicates}"
            raise ValueError(msg)
        self.replicates = replicates
        generator = np.random.default_rng(seed)
        self._factors = [_Factor(patients, replicates, generator)]
        if groups is not None:
            self._factors.append(_Factor(groups, replicates, generator, fewer=1))
        self.patient_index = self._factors[0].index
        self.patients = self._factors[0].size

    def blocks(self) -> Iterator[tuple[slice, Matrix]]:
        """Parts of the weights (R, N), each with the replicates it covers."""
        for rows in self._parts(self.replicates):
            yield rows, self.weights(rows)

    def weights(self, rows: slice = slice(None)) -> Matrix:
        """How often each row stands in each replicate of `rows`, (len(rows), N)."""
        weights = self._factors[0].weights(rows)
        for factor in self._factors[1:]:
            weights = weights * factor.weights(rows)
        return weights

    def without_each_patient(self) -> Iterator[tuple[slice, Matrix]]:
        """Parts of the weights (P, N) that leave out one patient in turn, for the jackknife."""
        for rows in self._parts(self.patients):
            left_out = np.arange(rows.start, rows.stop)[:, None]
            yield rows, (left_out != self.patient_index[None, :]).astype(np.float64)

    def _parts(self, count: int) -> Iterator[slice]:
        step = max(16, _BLOCK // max(1, len(self.patient_index)))
        return (slice(start, min(start + step, count)) for start in range(0, count, step))


class _Factor:
    """One thing that is drawn with replacement by equal chance: as many as there are, or some fewer, at least one."""

    def __init__(self, names: Any, replicates: int, generator: np.random.Generator, *, fewer: int = 0) -> None:
        texts = np.asarray([str(name) for name in names], dtype=np.str_)
        unique, self.index = np.unique(texts, return_inverse=True)
        self.size = len(unique)
        self._counts = _count_draws(self.size, max(self.size - fewer, 1), replicates, generator)

    def weights(self, rows: slice) -> Matrix:
        return self._counts[rows].astype(np.float64)[:, self.index]


def _count_draws(size: int, draws: int, replicates: int, generator: np.random.Generator) -> NDArray[np.uint16]:
    if size == 0:
        return np.zeros((replicates, 0), dtype=np.uint16)
    drawn = generator.integers(size, size=(replicates, draws))
    flat = drawn + np.arange(replicates)[:, None] * size
    counts = np.bincount(flat.ravel(), minlength=replicates * size)
    return counts.reshape(replicates, size).astype(np.uint16)


def resample_weights(patients: Any, *, replicates: int, seed: int, groups: Any | None = None) -> Matrix:
    """The weights (R, N) that `clustered_bootstrap` uses: how often each row stands in each replicate.

    Args:
        patients: (N,) the patient of each row.
        replicates: R.
        seed: of the draws.
        groups: (N,) or None, a second factor crossed with the patients.
    """
    return Resampling(patients, groups, replicates=replicates, seed=seed).weights()


def aligned(target: Vector, predictions: dict[str, Vector], **names: Any) -> None:
    """Check that everything has one entry a row.

    Raises:
        ValueError: a length differs.
    """
    lengths = {"target": len(target), **{name: len(values) for name, values in predictions.items()}}
    lengths.update({name: len(values) for name, values in names.items() if values is not None})
    if len(set(lengths.values())) > 1:
        msg = f"target, predictions, patients and groups must have the same length, got {lengths}"
        raise ValueError(msg)
