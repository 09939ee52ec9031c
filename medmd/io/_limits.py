"""How large a thing may be that a file declares: a reader asks before it makes room for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medmd.io._refusal import RefusedError

# A volume of 1,024 slices of 1,024 x 1,024: four times the largest that clinical devices are known to write.
MAX_VOXELS = 2**30
# 16,384 x 16,384, above any fundus camera.
MAX_PHOTO_PIXELS = 2**28
# Tables and XML are read whole; the largest that exports are known to hold are a few MiB.
MAX_TEXT_BYTES = 2**26


def check_size(shape: Sequence[int], *, most: int, available_bytes: int | None = None, voxel_bytes: int = 1) -> int:
    """Check a declared shape before memory is taken for it.

    Args:
        shape: what the file declares.
        most: greatest number of voxels.
        available_bytes: bytes that the file has for them when they are not compressed.
        voxel_bytes: bytes of one.

    Returns:
        The number of voxels.

    Raises:
        RefusedError: an axis below 1, too many voxels, or more than the file holds.
    """
    count = math.prod(shape)
    if min(shape, default=0) < 1:
        raise RefusedError(
            reason="size-impossible", detail=f"The file declares a size of {tuple(shape)}.", fix=_EXPORT_AGAIN
        )
    if count > most:
        detail = f"The file declares {count} voxels, more than the {most} that are accepted."
        raise RefusedError(reason="size-too-large", detail=detail, fix=_EXPORT_AGAIN)
    if available_bytes is not None and count * voxel_bytes > available_bytes:
        detail = f"The file declares {count * voxel_bytes} bytes of pixels and holds {available_bytes}."
        raise RefusedError(reason="truncated", detail=detail, fix=_EXPORT_AGAIN)
    return count


_EXPORT_AGAIN = "Export the examination again."
