"""Several predictors as one: weights that a validation split chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from medmd.metrics._inputs import Vector


def blend_weights(target: Any, predictions: Any, *, shrinkage: float = 0.0) -> Vector:
    """The weights, none negative and with sum 1, whose mean of the predictors has the least squared error.

    Minimises mean((y - P w)^2) + shrinkage * mean over predictors of (w - 1/K)^2 * K * var(y) on the simplex. With few
    validation cases the optimum is noisy: shrinkage draws it towards the plain mean, which no case has to choose.

    Args:
        target: (N,) without NaN.
        predictions: (N, K) without NaN.
        shrinkage: at least 0; infinity gives equal weights.

    Returns:
        (K,) weights.

    Raises:
        ValueError: shapes that do not fit, a value that is not finite, or a shrinkage below 0.
    """
    y, matrix = np.asarray(target, dtype=float), np.asarray(predictions, dtype=float)
    if matrix.ndim != 2 or y.shape != matrix.shape[:1] or not len(y) or not matrix.shape[1]:
        msg = f"expected (N,) targets and (N, K) predictions; got {y.shape} and {matrix.shape}"
        raise ValueError(msg)
    if not (np.isfinite(y).all() and np.isfinite(matrix).all()):
        msg = "expected finite targets and predictions; leave incomplete cases out"
        raise ValueError(msg)
    if not shrinkage >= 0:
        msg = f"shrinkage: expected at least 0; got {shrinkage}"
        raise ValueError(msg)
    equal = np.full(matrix.shape[1], 1 / matrix.shape[1])
    if np.isinf(shrinkage):
        return equal
    pull = np.sqrt(shrinkage * float(y.var())) * np.eye(len(equal))
    # On the simplex P w - y equals (P - y 1') w, so that the problem is one of least squares in w alone.
    rows = np.vstack([(matrix - y[:, None]) / np.sqrt(len(y)), pull - (pull @ equal)[:, None]])
    return _least_squares_on_simplex(rows)


def blend(predictions: Any, weights: Any) -> Vector:
    """The weighted mean of the predictors of each case, over those that it has.

    Args:
        predictions: (N, K), NaN where a predictor has none.
        weights: (K,), none negative.

    Returns:
        (N,), NaN for a case without any predictor of positive weight.
    """
    matrix = np.asarray(predictions, dtype=float)
    used = np.where(np.isnan(matrix), 0.0, np.asarray(weights, dtype=float)[None, :])
    total = used.sum(axis=1)
    mixed: npt.NDArray[np.float64] = np.nansum(np.nan_to_num(matrix) * used, axis=1)
    return np.divide(mixed, total, out=np.full(len(matrix), np.nan), where=total > 0)


def _least_squares_on_simplex(rows: npt.NDArray[np.float64]) -> Vector:
    """Minimise |rows w|^2 over w >= 0 with sum 1, as non-negative least squares with a heavy row for the sum."""
    heavy = 1e4 * max(float(np.abs(rows).max()), 1e-12)
    system = np.vstack([rows, np.full((1, rows.shape[1]), heavy)])
    weights, _ = nnls(system, np.append(np.zeros(len(rows)), heavy))
    return np.asarray(weights / weights.sum(), dtype=float)
