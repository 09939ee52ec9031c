"""The distribution of Mean Deviation in a clinic, its tail, and the noise of one visual field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# UWHVF, the University of Washington Humphrey visual field data set (uw-biomedical-ml, BSD-3): column `Baseline_MTD` of
# its per-eye series summary, one 24-2 field an eye. Kept: age >= 18 years, mean sensitivity <= 40 dB, mean total
# deviation in [-40, 6] dB; 7,358 of 7,428 eyes of 3,837 patients remain. First and last value: minimum and maximum.
UWHVF_PROBABILITIES = (
    0.0, 0.001, 0.005, 0.01, 0.025, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50,
    0.60, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.975, 0.99, 0.995, 0.999, 1.0,
)  # fmt: skip
UWHVF_QUANTILES = (
    -32.91, -31.86, -30.58, -28.76, -24.74, -20.26, -15.19, -12.02, -9.66, -7.97, -6.94, -5.52, -4.50,
    -3.69, -2.98, -2.65, -2.32, -1.91, -1.49, -0.92, -0.43, 0.16, 0.59, 2.55, 4.91,
)  # fmt: skip
# Rank correlation of the two eyes of a patient in the same rows (3,521 patients with both eyes).
UWHVF_EYE_CORRELATION = 0.62

MD_RANGE = (-40.0, 6.0)
# A field without any seen point reads about -33 dB; longer tails are bent so that none goes far below it.
_FLOOR = -33.0
_BEND = 3.0
_EDGE = 4.0
_MILD, _SEVERE = -3.0, -20.0
_SD_MILD, _SD_SEVERE = 0.75, 2.0


def noise_sd(true_md: npt.ArrayLike) -> FloatArray:
    """Standard deviation in dB of one measured MD about the true one.

    0.75 dB down to -3 dB, growing linearly to 2 dB at -20 dB and staying there: the test-retest spread reported for
    repeated fields (2 SD of 1.5 to 4 dB).

    Args:
        true_md: MD in dB, any shape.
    """
    share = np.clip((_MILD - np.asarray(true_md, dtype=np.float64)) / (_MILD - _SEVERE), 0.0, 1.0)
    return _SD_MILD + (_SD_SEVERE - _SD_MILD) * share


def clinic_quantiles(probabilities: npt.ArrayLike, *, tail: float = 1.0) -> FloatArray:
    """Quantiles in dB of the *measured* MD, lowest (most damaged) first.

    Args:
        probabilities: in [0, 1], any shape.
        tail: length of the tail of damaged eyes. 1 is the clinic's; 0 mirrors the short upper half, so that no tail is
            left. The distance of the lower half from the median is max(0, 1 - tail) * mirrored + tail * clinic.
    """
    from scipy.interpolate import PchipInterpolator

    knots = _normal_scores(UWHVF_PROBABILITIES)
    clinic = PchipInterpolator(knots, UWHVF_QUANTILES)
    score = _normal_scores(probabilities)
    median = clinic(0.0)
    lower = np.minimum(score, 0.0)
    distance = max(0.0, 1.0 - tail) * (clinic(-lower) - median) + tail * (median - clinic(lower))
    return np.where(score < 0.0, _bend(median - distance), clinic(score))


@dataclass(frozen=True)
class MdScale:
    """The true MD as a falling function of the severity score, a standard normal variable.

    The true MD has `clinic_quantiles`. The clinic's values are single fields and so hold the noise of one field
    already: the measured MD here comes out wider by less than 0.6 dB at any quantile from 1 % to 99 % (a deconvolution
    would put a point mass at the floor of the field).

    Args:
        tail: length of the tail, as in `clinic_quantiles`.
    """

    tail: float = 1.0

    def __call__(self, severity: npt.ArrayLike) -> FloatArray:
        """True MD in dB of severity scores of any shape; a high score is a damaged eye."""
        knots, md = _table(self.tail)
        return np.interp(-np.asarray(severity, dtype=np.float64), knots, md)


@lru_cache(maxsize=16)
def _table(tail: float) -> tuple[FloatArray, FloatArray]:
    from scipy.special import ndtr

    knots = np.linspace(-_EDGE, _EDGE, 641)
    return knots, clinic_quantiles(ndtr(knots), tail=tail)


def _bend(md: FloatArray) -> FloatArray:
    return np.where(md < _FLOOR, _FLOOR - _BEND * np.tanh((_FLOOR - md) / _BEND), md)


def _normal_scores(probabilities: npt.ArrayLike) -> FloatArray:
    from scipy.special import ndtri

    return np.clip(ndtri(np.asarray(probabilities, dtype=np.float64)), -_EDGE, _EDGE)
