"""Whether two predictors differ, by exchanging their names in whole patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medmd.metrics._inputs import Vector, as_vector, is_constant
from medmd.metrics._resampling import aligned

COMPARED = ("mse", "mae", "rmse", "r2", "error_rate")
# Signs of one block: small enough for the cache, large enough that numpy's overhead does not count.
_BLOCK = 400_000
_ROUNDING = 1e-11


class PermutationTest(NamedTuple):
    """Result of the test of one pair of predictors.

    Attributes:
        estimate: statistic of the first minus statistic of the second, on the rows that both predict.
        p_value: two-sided; NaN with fewer than two patients, or where the statistic is undefined.
        n: rows compared.
        patients: patients among them.
        dropped: rows with a target that one of the two does not predict.
        permutations: how many patterns of exchange the p-value rests on, the observed one among them.
        exact: whether these are all patterns that there are.
    """

    estimate: float
    p_value: float
    n: int
    patients: int
    dropped: int
    permutations: int
    exact: bool


def permutation_test(
    target: Any,
    predictions: Mapping[str, Any],
    patients: Any,
    *,
    seed: int,
    pairs: Sequence[tuple[str, str]] | None = None,
    statistic: str = "mse",
    permutations: int = 9999,
    groups: Any | None = None,
) -> dict[tuple[str, str], PermutationTest]:
    """Paired permutation test of predictors, patients being exchanged with all their rows.

    Under the null hypothesis the names of the two predictors mean nothing, so that they may be swapped in any patient,
    both eyes and all seeds at once. For a mean of losses (MSE, MAE, share of errors) a swap turns the sign of the sum
    of the patient's loss differences. R2 and RMSE need no test of their own: a swap leaves the sum of both predictors'
    squared errors and the variance of the target alone, so that |difference| of R2 and of RMSE are increasing functions
    of |difference| of MSE, and order all patterns alike. Their p-values are that of MSE.

    With `groups` (seeds of training) both factors are random, patients crossed with seeds: the sum of a pattern is
    ``sum_p s_p D_p + sqrt(S / (S - 1)) sum_s u_s (D_s - n_s D / n)``, with independent signs s_p of patients and u_s of
    seeds, D_p and D_s the sums of loss differences of a patient and of a seed, D and n of all rows. The second term
    adds the seeds' own spread about the mean difference, which exchanging patients alone would leave out; patient by
    seed interaction is counted in both, which errs towards larger p-values, as the crossed bootstrap of
    `paired_difference` does (Owen 2007). Few seeds say little of their own spread, which errs the other way where it is
    large: without a difference, 40 patients gave p < 0.05 in 13, 9 and 6 % of 1,000 simulations with 3, 5 and 10 seeds
    where patients, seeds and their interaction vary alike, and in 19, 11 and 7 % where almost only seeds vary
    (docs/results/error_rates.md). With one seed it is the test without groups.

    Args:
        target: (N,), NaN where there is none.
        predictions: by name (N,), NaN where there is none.
        patients: (N,) pseudonyms.
        seed: of the patterns, where not all are tried.
        pairs: which pairs; None for all, in the order of `predictions`. All see the same patterns.
        statistic: one of mse, mae, rmse, r2, error_rate (share of predictions unequal to the target, for classes).
        permutations: patterns to draw. All are tried instead when there are no more than these. Drawn ones count the
            observed pattern once more (p = (1 + hits) / (1 + drawn)), so that p is never 0.
        groups: (N,) or None, the training seed of each row.

    Returns:
        ``{(first, second): PermutationTest}``.

    Raises:
        ValueError: lengths differ, an unknown name or statistic, or fewer than one permutation.
        MedmdError: an infinite value.

    Example:
        >>> tests = permutation_test([0.0, 0.0, 0.0], {"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 1.0]}, "pqr", seed=0)
        >>> tests["a", "b"].p_value, tests["a", "b"].exact
        (0.25, True)
    """
    target = as_vector(target, "target")
    columns = {name: as_vector(values, f"prediction {name!r}") for name, values in predictions.items()}
    aligned(target, columns, patients=patients, groups=groups)
    pairs = _checked(columns, pairs, statistic, permutations)
    losses = {name: _losses(target, values, statistic) for name, values in columns.items()}
    factors = [_index(patients)] + ([] if groups is None else [_index(groups)])
    sums = _Sums(target, losses, pairs, factors, statistic)
    hits, tried, exact = _count(sums.signed, sums.observed, sums.free, permutations, seed)
    p_values = np.where(sums.patients > 1, hits / tried, np.nan)
    return {
        pair: PermutationTest(
            float(sums.estimates[at]),
            float("nan") if np.isnan(sums.estimates[at]) else float(p_values[at]),
            int(sums.n[at]),
            int(sums.patients[at]),
            int(sums.dropped[at]),
            tried,
            exact,
        )
        for at, pair in enumerate(pairs)
    }


class _Sums:
    """Sums of loss differences of every pair, by patient and by seed.

    Attributes:
        signed: (factors' levels, pairs) what the signs multiply: patients first, then seeds.
        observed: (pairs,) the sum without an exchange.
        free: how many signs there are.
    """

    def __init__(
        self,
        target: Vector,
        losses: Mapping[str, Vector],
        pairs: Sequence[tuple[str, str]],
        factors: Sequence[NDArray[np.intp]],
        statistic: str,
    ) -> None:
        size = len(pairs)
        self.n, self.patients, self.dropped = (np.zeros(size, dtype=int) for _ in range(3))
        self.estimates, self.observed = np.full(size, np.nan), np.zeros(size)
        parts: list[list[Vector]] = [[] for _ in factors]
        for at, (first, second) in enumerate(pairs):
            rows = ~(np.isnan(losses[first]) | np.isnan(losses[second]))
            both = losses[first][rows], losses[second][rows]
            difference = both[0] - both[1]
            self.n[at], self.dropped[at] = rows.sum(), (~np.isnan(target)).sum() - rows.sum()
            self.patients[at] = len(np.unique(factors[0][rows]))
            self.estimates[at] = _difference(target[rows], *both, statistic)
            self.observed[at] = difference.sum()
            for part, index in zip(parts, factors, strict=True):
                part.append(_by_level(index, rows, difference, centred=part is not parts[0]))
        self.signed = np.concatenate([np.stack(part, axis=1) for part in parts]) if pairs else np.zeros((0, 0))
        self.free = len(self.signed)


def _by_level(index: NDArray[np.intp], rows: NDArray[np.bool_], difference: Vector, *, centred: bool) -> Vector:
    levels = int(index.max()) + 1 if len(index) else 0
    sums: Vector = np.bincount(index[rows], weights=difference, minlength=levels).astype(np.float64)
    if not centred or not len(difference):
        return sums
    counts = np.bincount(index[rows], minlength=levels)
    present = int((counts > 0).sum())
    # S - 1 free deviations of S seeds: without the factor few seeds would seem to agree better than they do.
    inflation = np.sqrt(present / (present - 1)) if present > 1 else 0.0
    return np.asarray(inflation * (sums - counts * difference.mean()))


def _count(signed: Vector, observed: Vector, free: int, permutations: int, seed: int) -> tuple[Vector, int, bool]:
    """How many patterns are at least as far from 0 as the observed one, of how many."""
    # Rounding may not break the tie of a pattern with itself.
    limit = np.abs(observed) - _ROUNDING * np.abs(signed).sum(axis=0)
    # A pattern and its reverse have the same size, hence one sign stays.
    patterns = 2.0 ** max(0, free - 1)
    exact = patterns <= permutations
    hits = np.zeros(len(observed)) if exact else np.ones(len(observed))
    blocks = _all_signs(free) if exact else _drawn_signs(free, permutations, seed)
    for signs in blocks:
        hits += (np.abs(signs @ signed) >= limit).sum(axis=0)
    return hits, int(patterns) if exact else permutations + 1, exact


def _all_signs(free: int) -> Iterator[Vector]:
    step = max(1, _BLOCK // max(1, free))
    total = 2 ** max(0, free - 1)
    for start in range(0, total, step):
        numbers = np.arange(start, min(start + step, total))
        yield 1.0 - 2.0 * ((numbers[:, None] >> np.arange(free)) & 1).astype(np.float64)


def _drawn_signs(free: int, permutations: int, seed: int) -> Iterator[Vector]:
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // free)
    for start in range(0, permutations, step):
        size = min(step, permutations - start), free
        yield 1.0 - 2.0 * generator.integers(2, size=size, dtype=np.int8).astype(np.float64)


def _checked(
    columns: Mapping[str, Vector], pairs: Sequence[tuple[str, str]] | None, statistic: str, permutations: int
) -> list[tuple[str, str]]:
    if statistic not in COMPARED:
        msg = f"statistic must be one of {', '.join(COMPARED)}; got {statistic!r}"
        raise ValueError(msg)
    if permutations < 1:
        msg = f"permutations must be at least 1, got {permutations}"
        raise ValueError(msg)
    wanted = list(combinations(columns, 2)) if pairs is None else list(pairs)
    unknown = sorted({name for pair in wanted for name in pair} - set(columns))
    if unknown:
        msg = f"pairs must name predictions ({', '.join(columns)}); got {', '.join(unknown)}"
        raise ValueError(msg)
    return wanted


def _losses(target: Vector, prediction: Vector, statistic: str) -> Vector:
    error = prediction - target
    if statistic == "mae":
        return np.abs(error)
    if statistic == "error_rate":
        return np.where(np.isnan(error), np.nan, (error != 0).astype(np.float64))
    return np.asarray(error**2)


def _difference(target: Vector, first: Vector, second: Vector, statistic: str) -> float:
    if not len(target):
        return float("nan")
    if statistic == "rmse":
        return float(np.sqrt(first.mean()) - np.sqrt(second.mean()))
    difference = float(first.mean() - second.mean())
    if statistic == "r2":
        return float("nan") if is_constant(target) else -difference / float(np.var(target))
    return difference


def _index(names: Any) -> NDArray[np.intp]:
    return np.unique(np.asarray([str(name) for name in names], dtype=np.str_), return_inverse=True)[1]
