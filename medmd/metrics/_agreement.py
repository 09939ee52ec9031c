"""Agreement of prediction and measurement beyond one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from medmd.metrics._inputs import Vector, as_pair, is_constant


def bland_altman(target: Any, prediction: Any) -> dict[str, float]:
    """Bias, 95 % limits of agreement and trend (Bland and Altman 1986, 1999).

    Args:
        target: (N,) measured values, NaN where there is none.
        prediction: (N,) in the same unit, NaN where there is none.

    Returns:
        bias (mean of prediction - target), sd (n - 1), lower and upper (bias -/+ 1.96 sd) and slope of the difference
        over the mean of both (negative: predictions are drawn to the mean). NaN where undefined.
    """
    target, prediction = as_pair(target, prediction)
    difference = prediction - target
    bias = float(difference.mean()) if len(target) else float("nan")
    sd = float(difference.std(ddof=1)) if len(target) > 1 else float("nan")
    slope, _ = _line((prediction + target) / 2.0, difference)
    return {"bias": bias, "sd": sd, "lower": bias - 1.96 * sd, "upper": bias + 1.96 * sd, "slope": slope}


def calibration_line(target: Any, prediction: Any) -> dict[str, float]:
    """Least-squares line of the measured over the predicted value: slope 1 and intercept 0 when calibrated.

    Args:
        target: (N,) measured values, NaN where there is none.
        prediction: (N,) in the same unit, NaN where there is none.

    Returns:
        slope and intercept (unit of the target). A slope below 1 means predictions too extreme, above 1 too timid.
        NaN for a constant prediction.
    """
    target, prediction = as_pair(target, prediction)
    slope, intercept = _line(prediction, target)
    return {"slope": slope, "intercept": intercept}


def _line(x: Vector, y: Vector) -> tuple[float, float]:
    if is_constant(x):
        return float("nan"), float("nan")
    centred = x - x.mean()
    slope = float(np.dot(centred, y - y.mean()) / np.dot(centred, centred))
    return slope, float(y.mean() - slope * x.mean())
