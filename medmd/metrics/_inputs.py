"""What every metric asks of its arguments, said once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medmd.utils import MedmdError

Vector: TypeAlias = NDArray[np.float64]


class UndefinedMetricWarning(UserWarning):
    """A metric has no value on this input (one case, a constant target …); it is NaN, and the text says why."""


def as_vector(values: Any, name: str) -> Vector:
    """`values` as a float64 vector (N,).

    Raises:
        ValueError: it has not exactly one dimension.
        MedmdError: a value is infinite, which in a prediction means that the training diverged.
    """
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        msg = f"{name} must have shape (N,), got {vector.shape}"
        raise ValueError(msg)
    if np.isinf(vector).any():
        first = int(np.flatnonzero(np.isinf(vector))[0])
        msg = (
            f"{name}: value {first} is infinite. Expected finite numbers, or NaN where there is none. "
            "An infinite prediction comes from a training that diverged: lower the learning rate."
        )
        raise MedmdError(msg)
    return vector


def as_pair(target: Any, prediction: Any) -> tuple[Vector, Vector]:
    """Target and prediction (N,) without the rows where either is NaN.

    Raises:
        ValueError: the lengths differ.
        MedmdError: a value is infinite.
    """
    target, prediction = as_vector(target, "target"), as_vector(prediction, "prediction")
    if len(target) != len(prediction):
        msg = f"target and prediction must have the same length, got {len(target)} and {len(prediction)}"
        raise ValueError(msg)
    kept = ~(np.isnan(target) | np.isnan(prediction))
    return target[kept], prediction[kept]


def is_constant(values: Vector) -> bool:
    """Whether all values are equal. Exact: a variance would be off zero by rounding."""
    return len(values) == 0 or bool(values.min() == values.max())
