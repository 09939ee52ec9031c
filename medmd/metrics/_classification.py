"""Metrics of predicted classes: of one vector, and of many resamples at once, all from confusion matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medmd.metrics._inputs import Vector

CLASS_STATISTICS: tuple[str, ...] = ("accuracy", "balanced_accuracy", "macro_f1", "kappa", "log_loss")
# As scikit-learn clips: a probability of 0 for what came true would make the mean infinite whatever the others are.
_LEAST = float(np.finfo(np.float64).eps)


def classification_metrics(target: Any, probabilities: Any, prediction: Any | None = None) -> dict[str, float]:
    r"""All metrics of one predictor of classes over one whole split.

    .. math:: \kappa = 1 - \frac{\sum_{ij} (i - j)^2 O_{ij}}{\sum_{ij} (i - j)^2 E_{ij}}

    with the confusion matrix O and E, what it would be if prediction and truth were independent (Cohen 1968, quadratic
    weights: for classes that have an order, such as grades; without an order it has no meaning).

    Args:
        target: (N,) indices of classes; NaN or below 0 where unknown.
        probabilities: (N, C), rows that sum to 1; NaN rows where there is no prediction, for example because the
            modality is absent. Rows without either are left out; `n` counts the others.
        prediction: (N,) indices of the predicted classes; the most probable ones when None.

    Returns:
        accuracy; balanced_accuracy, the mean recall of the classes that occur; macro_f1, the mean F1 of the classes
        that occur or are predicted; kappa; log_loss (nats, probabilities clipped to the precision of a double); and n.
        What is undefined is NaN: all without a case; kappa when truth and prediction are one and the same class
        throughout.

    Raises:
        ValueError: shapes that do not fit, or an index outside the classes.

    Example:
        >>> metrics = classification_metrics([0, 1, 1], [[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
        >>> round(metrics["accuracy"], 3), metrics["balanced_accuracy"], metrics["n"]
        (0.667, 0.75, 3.0)
    """
    truth, probable, guess = known_classes(target, probabilities, prediction)
    weights = np.ones((1, len(truth)))
    found = weighted_classes(truth, probable, guess, weights)
    return {**{name: float(values[0]) for name, values in found.items()}, "n": float(len(truth))}


def confusion_matrix(target: Any, probabilities: Any, prediction: Any | None = None) -> NDArray[np.int64]:
    """How often each class (row) was predicted as each class (column), (C, C).

    Args:
        target: as in `classification_metrics`.
        probabilities: as there.
        prediction: as there.
    """
    truth, probable, guess = known_classes(target, probabilities, prediction)
    matrix = np.zeros((probable.shape[1],) * 2, dtype=np.int64)
    np.add.at(matrix, (truth, guess), 1)
    return matrix


def known_classes(
    target: Any, probabilities: Any, prediction: Any | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Truth (n,), probabilities (n, C) and predicted classes (n,) of the rows that have all of them.

    Raises:
        ValueError: shapes that do not fit, or an index outside the classes.
    """
    truth = np.asarray(target, dtype=np.float64)
    probable = np.asarray(probabilities, dtype=np.float64)
    if probable.ndim != 2 or probable.shape[1] < 2 or truth.shape != probable.shape[:1]:
        msg = f"expected classes (N,) and probabilities (N, C), C at least 2; got {truth.shape} and {probable.shape}"
        raise ValueError(msg)
    blank = np.asarray(np.isnan(probable).any(axis=1))
    if prediction is None:
        guess = np.where(blank, np.nan, np.argmax(np.where(blank[:, None], 0.0, probable), axis=1))
    else:
        guess = np.asarray(prediction, dtype=np.float64)
    kept = ~(np.isnan(truth) | (truth < 0) | blank | np.isnan(guess))
    found, guessed = truth[kept].astype(np.int64), guess[kept].astype(np.int64)
    highest = max(found.max(initial=0), guessed.max(initial=0))
    if highest >= probable.shape[1] or guessed.min(initial=0) < 0:
        msg = f"expected indices of {probable.shape[1]} classes, 0 to {probable.shape[1] - 1}; got {highest}"
        raise ValueError(msg)
    return found, probable[kept], guessed


def weighted_classes(
    target: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    prediction: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> dict[str, Vector]:
    """`classification_metrics` of every resample, where a row of `weights` says how often each case was drawn.

    Args:
        target: (N,) indices of classes.
        probabilities: (N, C).
        prediction: (N,) indices of classes.
        weights: (R, N) numbers of at least 0.

    Returns:
        For each of `CLASS_STATISTICS` (R,), NaN where it is undefined.
    """
    classes = probabilities.shape[1]
    pairs = np.zeros((len(target), classes * classes))
    pairs[np.arange(len(target)), target * classes + prediction] = 1.0
    confusion = (weights @ pairs).reshape(len(weights), classes, classes)
    surprise = -np.log(np.clip(probabilities[np.arange(len(target)), target], _LEAST, 1.0))
    n = weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {**_of_confusion(confusion, n), "log_loss": weights @ surprise / n}


def _of_confusion(confusion: NDArray[np.float64], n: Vector) -> dict[str, Vector]:
    right = np.diagonal(confusion, axis1=1, axis2=2)
    true, guessed = confusion.sum(axis=2), confusion.sum(axis=1)
    order = np.arange(confusion.shape[1])
    distance = np.square(order[:, None] - order[None, :]).astype(np.float64)
    observed = np.einsum("ij,rij->r", distance, confusion)
    expected = np.einsum("ij,ri,rj->r", distance, true, guessed) / n
    return {
        "accuracy": right.sum(axis=1) / n,
        "balanced_accuracy": _mean_over(right / true, true > 0),
        "macro_f1": _mean_over(2 * right / (true + guessed), true + guessed > 0),
        "kappa": np.where(expected > 0, 1 - observed / expected, np.nan),
    }


def _mean_over(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> Vector:
    return np.where(counted, values, 0.0).sum(axis=1) / counted.sum(axis=1)
