"""What the pixels of an OCT volume tell about its quality, slice by slice."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# A slice's histogram is taken of every n-th row and column, so that about this many remain on an axis: quantiles need
# no more, and counting half a million pixels a slice would take as long as decoding them.
_SAMPLES = 256
# Neighbouring slices are compared as means over this many blocks an axis: layers and shadows, no speckle.
_BLOCKS = 16
# Spread (99th minus 1st percentile) at or below which a slice is even, as a share of the scale: 2 of 255 levels.
_EVEN = 2 / 255
# Voxels this near the upper end count as saturated: 254 and 255 of 255.
_NEAR_END = 1 / 255
# Rows of one value at the lower end that make a slice truncated, as a share of its depth.
_MISSING = 0.1
# Distance of the 5th and the 25th percentile of a normal distribution, in standard deviations.
_DARK_SPREAD = 0.9704


class _Slice(NamedTuple):
    spread: float
    missing: float
    blocks: npt.NDArray[np.float64]


def measure_volume(pixels: npt.NDArray[Any]) -> dict[str, float]:
    """Measure an OCT volume in one pass over its slices; beyond the volume, memory for one slice is taken.

    Args:
        pixels: (slices, depth, along-scan), uint8 or uint16. The scale ends at 255, or for uint16 at the smallest
            2**bits - 1 that holds the greatest value.

    Returns:
        slices: their number.
        blank_slices: share that is one even grey.
        truncated_slices: share whose lower tenth, or more of it, is of one value while the rest is not.
        saturated: share of voxels at the upper end of the scale.
        contrast: 99th percentile minus median, as a share of the scale; the retina against the rest.
        signal_to_noise: 99th percentile minus median, in standard deviations of the dark part, at least half a level
            each; the dark part's are estimated from its 5th and 25th percentile.
        slice_similarity: median over neighbouring slices of the correlation of their block means, -1 to 1; absent when
            no two neighbours have any spread.
    """
    bins = 256 if pixels.dtype == np.uint8 else 65536
    counts = np.zeros(bins, dtype=np.int64)
    slices = [_measure_slice(image, counts) for image in pixels]
    end = _end_of_scale(counts)
    blank = np.array([each.spread <= _EVEN * end for each in slices])
    truncated = np.array([each.missing >= _MISSING for each in slices]) & ~blank
    dark, quarter, median, bright = _quantiles(counts, (0.05, 0.25, 0.5, 0.99))
    noise = max((quarter - dark) / _DARK_SPREAD, 0.5 * end / 255)
    found = {
        "slices": float(len(slices)),
        "blank_slices": float(blank.mean()),
        "truncated_slices": float(truncated.mean()),
        "saturated": float(counts[int(np.ceil(end * (1 - _NEAR_END))) :].sum() / counts.sum()),
        "contrast": float((bright - median) / end),
        "signal_to_noise": float((bright - median) / noise),
    }
    similarity = _similarity(slices)
    return found if similarity is None else found | {"slice_similarity": similarity}


def _measure_slice(image: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> _Slice:
    """Measure one slice and add its sampled pixels to `counts`."""
    rows, columns = (max(1, side // _SAMPLES) for side in image.shape)
    sample = image[::rows, ::columns]
    here = np.bincount(sample.ravel(), minlength=len(counts))
    counts += here
    low, high = _quantiles(here, (0.01, 0.99))
    return _Slice(high - low, _missing(image), _block_means(sample))


def _missing(image: npt.NDArray[Any]) -> float:
    """Share of the depth, from below, that has the value of the last pixel and no other."""
    last = image[-1, -1]
    # Most slices end here, after one row.
    if (image[-1] != last).any():
        return 0.0
    other = np.flatnonzero((image != last).any(axis=1))
    return 1.0 - (int(other[-1]) + 1 if other.size else 0) / image.shape[0]


def _block_means(sample: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Means over at most 16 x 16 blocks; a remainder at the far sides is left out."""
    rows, columns = (min(_BLOCKS, side) for side in sample.shape)
    height, width = sample.shape[0] // rows, sample.shape[1] // columns
    cut = sample[: rows * height, : columns * width]
    return cut.reshape(rows, height, columns, width).mean(axis=(1, 3))


def _similarity(slices: list[_Slice]) -> float | None:
    found = []
    for first, second in pairwise(slices):
        a, b = (each.blocks - each.blocks.mean() for each in (first, second))
        scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
        if scale > 0:
            found.append(float((a * b).sum()) / scale)
    return float(np.median(found)) if found else None


def _end_of_scale(counts: npt.NDArray[np.int64]) -> int:
    greatest = int(np.flatnonzero(counts)[-1])
    return 255 if len(counts) == 256 else max(255, 2 ** greatest.bit_length() - 1)


def _quantiles(counts: npt.NDArray[np.int64], shares: tuple[float, ...]) -> list[float]:
    """The smallest values that at least these shares of the pixels do not exceed."""
    running = np.cumsum(counts)
    return [float(np.searchsorted(running, share * running[-1])) for share in shares]
