"""Whether the pieces of a TIFF make up its image: Pillow leaves black what a damaged header does not lead to."""

from __future__ import annotations

import math
from typing import Any

from PIL import Image

from medmd.io._binary import EXPORT_AGAIN
from medmd.io._refusal import RefusedError

# TIFF 6.0: numbers of the tags.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION = 256, 257, 258, 259
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES = 322, 323, 324
_UNCOMPRESSED = 1


def check_pieces(image: Image.Image) -> None:
    """Compare the strips or tiles of the present page with its size; other formats pass.

    Raises:
        RefusedError: there are too few of them, or uncompressed ones are too short.
    """
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    # Not Pillow's size: it is that of the upright image.
    width, height = _first(tags.get(_WIDTH), 0), _first(tags.get(_HEIGHT), 0)
    samples = _first(tags.get(_SAMPLES), 1)
    planes = samples if _first(tags.get(_PLANES), 1) == 2 else 1
    if _TILES in tags:
        across = math.ceil(width / max(_first(tags.get(_TILE_WIDTH), 0), 1))
        needed = across * math.ceil(height / max(_first(tags.get(_TILE_HEIGHT), 0), 1))
    else:
        needed = math.ceil(height / max(_first(tags.get(_ROWS), height), 1))
    pieces = _count(tags.get(_TILES, tags.get(_STRIPS)))
    if pieces != needed * planes or _bytes_short(tags, samples * width, height):
        detail = f"The image has {pieces} strips or tiles where its size needs {needed * planes}, or too short ones."
        raise RefusedError(reason="size-contradicts", detail=detail, fix=EXPORT_AGAIN)


def _bytes_short(tags: Any, values_a_row: int, rows: int) -> bool:
    if _STRIP_BYTES not in tags or _TILES in tags or _first(tags.get(_COMPRESSION), _UNCOMPRESSED) != _UNCOMPRESSED:
        return False
    held = tags[_STRIP_BYTES]
    row = math.ceil(values_a_row * _first(tags.get(_BITS), 1) / 8)
    return sum(held if isinstance(held, tuple) else (held,)) < row * rows


def _first(value: Any, otherwise: int) -> int:
    found = value[0] if isinstance(value, tuple) and value else value
    return found if isinstance(found, int) else otherwise


def _count(value: Any) -> int:
    return len(value) if isinstance(value, tuple) else int(value is not None)
