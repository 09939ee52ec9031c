"""MNIST's idx files: unsigned bytes with a big-endian header, packed with gzip or not."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HALVES = {"training": "train", "testing": "t10k"}
_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_SHAPE = (28, 28)


@dataclass(frozen=True)
class Half:
    """One official half of MNIST.

    Args:
        images: (N, 28, 28) uint8, 0 is background.
        labels: (N,) digits.
        files: name -> SHA-256.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    files: dict[str, str]


def read_half(source: Path, part: str) -> Half:
    """Images and labels of the half `training` or `testing`.

    Raises:
        MedmdError: a file is absent, damaged, or no idx file, images are not 28 x 28, or images and labels do not go
            together.
    """
    stem = HALVES[part]
    paths = [find_file(source, f"{stem}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")]
    images, labels = (read_idx(path) for path in paths)
    together = images.shape[1:] == _SHAPE and labels.shape == images.shape[:1]
    if not together or labels.max(initial=0) > 9:
        msg = (
            f"{paths[0].name}: expected images (N, 28, 28) and N digits from 0 to 9, got {images.shape} and "
            f"{labels.shape} up to {labels.max(initial=0)}. Download MNIST's files again."
        )
        raise MedmdError(msg)
    return Half(images, labels, {path.name: sha256_file(path) for path in paths})


def find_file(source: Path, name: str) -> Path:
    """The file with this name, with or without the ending `.gz`, in `source` or a folder below it.

    Raises:
        MedmdError: there is none.
    """
    # Some copies write train-images.idx3-ubyte.
    names = {name, name.replace("-idx", ".idx")}
    found = sorted(path for path in source.rglob("*") if path.name.removesuffix(".gz") in names and path.is_file())
    if not found:
        msg = f"{source}: expected MNIST's file {name}.gz; it is absent."
        raise MedmdError(msg)
    return found[0]


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes.

    Raises:
        MedmdError: the file cannot be unpacked, holds another type, or is not as long as its header says.
    """
    import numpy as np

    data = path.read_bytes()
    try:
        content = gzip.decompress(data) if data.startswith(_GZIP) else data
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path.name}: cannot be unpacked ({type(error).__name__}). Download it again."
        raise MedmdError(msg) from error
    axes = content[3] if len(content) > 3 else 0
    start = 4 + 4 * axes
    if content[:2] != b"\0\0" or not 1 <= axes <= 3 or content[2] != _UNSIGNED_BYTE or len(content) < start:
        msg = f"{path.name}: expected an idx file of unsigned bytes, got one that begins with {content[:4].hex()}."
        raise MedmdError(msg)
    shape = [int.from_bytes(content[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(axes)]
    if len(content) - start != math.prod(shape):
        msg = f"{path.name}: {len(content) - start} values, expected {math.prod(shape)}. Download it again."
        raise MedmdError(msg)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
