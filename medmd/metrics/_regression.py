"""Metrics of one vector of predictions."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from medmd.metrics._inputs import UndefinedMetricWarning, Vector, as_pair, is_constant

STATISTICS: tuple[str, ...] = (
    "mae",
    "rmse",
    "mse",
    "r2",
    "pearson",
    "spearman",
    "ccc",
    "median_ae",
    "within_1db",
    "within_2db",
    "within_3db",
    "bias",
)

_NEED_SPREAD_OF_TARGET = ("r2", "pearson", "spearman", "ccc")
_NEED_SPREAD_OF_PREDICTION = ("pearson", "spearman")


def regression_metrics(
    target: Any, prediction: Any, *, on_undefined: Literal["warn", "ignore"] = "warn"
) -> dict[str, float]:
    r"""All metrics of one predictor over one whole split.

    .. math:: R^2 = 1 - \frac{\sum (y - \hat y)^2}{\sum (y - \bar y)^2}, \qquad
        \mathrm{CCC} = \frac{2 s_{y \hat y}}{s_y^2 + s_{\hat y}^2 + (\bar y - \bar{\hat y})^2}

    Variances divide by n, as in Lin (1989), so that mse = (1 - r2) x variance of the target holds for every predictor.

    Args:
        target: (N,) measured values, for example MD in dB; NaN where there is none.
        prediction: (N,) in the unit of the target; NaN where there is none, for example because the modality is absent.
            Rows with a NaN on either side are left out; `n` counts the others.
        on_undefined: "warn" issues one `UndefinedMetricWarning` naming what is undefined and why; "ignore" does not.

    Returns:
        mae, rmse, mse, r2, pearson, spearman, ccc, median_ae, bias (mean of prediction - target), within_1db,
        within_2db, within_3db (share of errors of at most 1, 2, 3 units, 0 to 1) and n. What is undefined is NaN,
        never 0: all without a case; r2, pearson, spearman and ccc for a constant target; pearson and spearman for a
        constant prediction (its ccc is 0 by definition).

    Raises:
        ValueError: not two vectors of one length.
        MedmdError: a value is infinite.

    Example:
        >>> metrics = regression_metrics([-2.0, -6.0, -13.0], [-3.0, -6.0, -11.0])
        >>> metrics["mae"], round(metrics["r2"], 3), metrics["n"]
        (1.0, 0.919, 3.0)
    """
    target, prediction = as_pair(target, prediction)
    reasons = _reasons(target, prediction)
    if reasons and on_undefined == "warn":
        text = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        warnings.warn(f"Undefined, given as NaN: {text}.", UndefinedMetricWarning, stacklevel=2)
    values = _values(target, prediction) if len(target) else {}
    metrics = {name: float("nan") if name in reasons else values[name] for name in STATISTICS}
    return {**metrics, "n": float(len(target))}


def undefined_reasons(target: Any, prediction: Any) -> dict[str, str]:
    """Why which statistics of `regression_metrics` have no value on this input: {} when all have.

    Args:
        target: (N,), NaN where there is none.
        prediction: (N,), NaN where there is none.
    """
    return _reasons(*as_pair(target, prediction))


def _reasons(target: Vector, prediction: Vector) -> dict[str, str]:
    if len(target) == 0:
        return dict.fromkeys(STATISTICS, "no case has both a target and a prediction")
    reasons = {}
    if is_constant(prediction):
        reasons.update(dict.fromkeys(_NEED_SPREAD_OF_PREDICTION, "the prediction is constant"))
    if is_constant(target):
        reasons.update(dict.fromkeys(_NEED_SPREAD_OF_TARGET, "the target is constant"))
    if len(target) == 1:
        reasons.update(dict.fromkeys(_NEED_SPREAD_OF_TARGET, "there is one case only"))
    return reasons


def _values(target: Vector, prediction: Vector) -> dict[str, float]:
    error = prediction - target
    absolute = np.abs(error)
    mse = float(np.mean(error**2))
    values = {
        "mae": float(absolute.mean()),
        "rmse": float(np.sqrt(mse)),
        "mse": mse,
        "median_ae": float(np.median(absolute)),
        "bias": float(error.mean()),
        **{f"within_{limit}db": float(np.mean(absolute <= limit)) for limit in (1, 2, 3)},
    }
    return values | _relations(target, prediction, mse)


def _relations(target: Vector, prediction: Vector, mse: float) -> dict[str, float]:
    # Undefined cases are replaced by the caller; here they may only not warn.
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.var(target)
        difference = prediction.mean() - target.mean()
        covariance = np.mean((target - target.mean()) * (prediction - prediction.mean()))
        return {
            "r2": float(1.0 - mse / variance),
            "ccc": float(2.0 * covariance / (variance + np.var(prediction) + difference**2)),
            "pearson": _correlation(target, prediction),
            "spearman": _correlation(rankdata(target), rankdata(prediction)),
        }


def _correlation(first: Vector, second: Vector) -> float:
    first, second = first - first.mean(), second - second.mean()
    # Scaling each side first keeps tiny or huge units from under- or overflowing in the product.
    scaled = np.dot(first / np.linalg.norm(first), second / np.linalg.norm(second))
    return float(np.clip(scaled, -1.0, 1.0))
