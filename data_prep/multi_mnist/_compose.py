"""Two digits on one canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CANVAS = 36
MOST_SHIFT = 3
# Part of a file's origin in the journal: raise it when the pixels that are written change.
RECIPE = "multi-mnist-1"


@dataclass(frozen=True)
class Pair:
    """Which two images are laid over one another, and where.

    Args:
        left: index of the image at the top left.
        right: index of the image at the bottom right.
        shifts: (rows, columns) of the left, then of the right image, by which each is moved towards the other.
    """

    left: int
    right: int
    shifts: tuple[int, int, int, int]

    @property
    def origin(self) -> str:
        """What the picture is made from, as text."""
        return f"{self.left},{self.right},{','.join(map(str, self.shifts))}"


def draw_pairs(pool: Sequence[int], count: int, *, shift: int, seed: int) -> list[Pair]:
    """Draw pairs of images at random, each image as often as any other.

    Args:
        pool: indices of the images to draw from; two of a pair differ.
        count: how many pairs.
        shift: by how many pixels, 0 to `shift`, a digit is moved from its corner towards the middle.
        seed: of the draws.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    rounds = -(-count // len(pool))
    left = np.concatenate([random.permutation(pool) for _ in range(rounds)])[:count]
    right = np.concatenate([random.permutation(pool) for _ in range(rounds)])[:count]
    positions = {index: place for place, index in enumerate(pool)}
    for place in np.flatnonzero(left == right):
        right[place] = pool[(positions[int(right[place])] + 1) % len(pool)]
    shifts = random.integers(0, shift + 1, size=(count, 4))
    return [
        Pair(int(a), int(b), (int(s[0]), int(s[1]), int(s[2]), int(s[3])))
        for a, b, s in zip(left, right, shifts, strict=True)
    ]


def compose(images: npt.NDArray[np.uint8], pair: Pair, *, size: int) -> npt.NDArray[np.uint8]:
    """The picture of a pair: the brighter of the two at every pixel.

    Args:
        images: (N, 28, 28) uint8.
        pair: which, and where.
        size: rows and columns of the result; below 36 the canvas is made smaller bilinearly.
    """
    import numpy as np
    from PIL import Image

    canvas = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
    first, second = images[pair.left], images[pair.right]
    row, column, back_row, back_column = pair.shifts
    bottom, right = CANVAS - second.shape[0] - back_row, CANVAS - second.shape[1] - back_column
    canvas[row : row + first.shape[0], column : column + first.shape[1]] = first
    part = canvas[bottom : bottom + second.shape[0], right : right + second.shape[1]]
    np.maximum(part, second, out=part)
    if size == CANVAS:
        return canvas
    return np.asarray(Image.fromarray(canvas).resize((size, size), Image.Resampling.BILINEAR))
