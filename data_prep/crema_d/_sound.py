"""A sound as a picture: its spectrogram in decibels."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.utils import MedmdError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RATE = 16_000
SECONDS = 3
WINDOW, STEP = 512, 160
ROWS, COLUMNS = WINDOW // 2, RATE * SECONDS // STEP
_RANGE_DB = 80.0
# Part of a file's origin in the journal: raise it when the pixels that are written change.
RECIPE = "log-spectrogram-1"


def read_sound(path: Path) -> npt.NDArray[np.float32]:
    """The samples of a wav file, (n,) in [-1, 1]; of several channels their mean.

    Raises:
        MedmdError: the file cannot be read, is silent or empty, or is not of 16 kHz, the release's rate.
    """
    import numpy as np
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # A chunk that scipy does not know; the samples are read all the same.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except (OSError, ValueError, EOFError, struct.error, ArithmeticError, NameError) as error:
        msg = f"the sound cannot be read: {type(error).__name__}"
        raise MedmdError(msg) from error
    if rate != RATE:
        msg = f"the sound has {rate} samples a second, expected {RATE}"
        raise MedmdError(msg)
    scale = float(np.iinfo(samples.dtype).max) if samples.dtype.kind == "i" else 1.0
    values: npt.NDArray[Any] = samples.astype(np.float32) / np.float32(scale)
    mono = values.mean(axis=1) if values.ndim == 2 else values
    if not len(mono) or not np.isfinite(mono).all() or float(np.abs(mono).max()) == 0.0:
        msg = "the sound is empty or silent"
        raise MedmdError(msg)
    return mono


def spectrogram(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The spectrogram of the first three seconds as (256, 300) uint8, low frequencies at the bottom.

    A shorter sound is repeated, as the authors of OGM-GE do. Hann window of 32 ms, step of 10 ms, without the constant;
    decibels below the loudest value, 0 dB is 255 and -80 dB or less is 0.

    Args:
        samples: (n,) at 16 kHz, not silent.
    """
    import numpy as np

    length = RATE * SECONDS
    repeated = np.tile(samples, -(-length // len(samples)))[:length]
    padded = np.pad(repeated, (0, WINDOW))
    starts = np.arange(COLUMNS) * STEP
    pieces = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW + 1)[:-1]
    power = np.square(np.abs(np.fft.rfft(pieces, axis=1)[:, 1:])).T
    decibels = 10 * np.log10(np.maximum(power, 1e-20) / power.max())
    scaled = np.clip(1 + decibels / _RANGE_DB, 0, 1) * 255
    return np.ascontiguousarray(scaled.round().astype(np.uint8)[::-1])
