"""Files to channel-first images, with every axis where the file says it is.

MONAI's `LoadImage` registers every reader it knows at each construction, warns about an optional codec, and, when its
reader fails, tries all others and reports their tracebacks together. These transforms use one reader a kind and
say in one line what is wrong with a file.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import MetaTensor, NibabelReader
from monai.transforms import MapTransform, Transform
from nibabel.filebasedimages import ImageFileError
from PIL import Image, ImageOps, UnidentifiedImageError

from medmd.transforms._cases import case_name
from medmd.utils import MedmdError

_UNREADABLE = (OSError, EOFError, ImageFileError, UnidentifiedImageError, Image.DecompressionBombError, ValueError)


class LoadVolume(Transform):
    """Read a NIfTI volume (axes as stored: along-scan x, depth y, slice z) into float32 (1, x, y, z).

    Values keep the file's scale (0..255 for 8-bit OCT). The result is a MetaTensor with the file's affine in mm.

    Raises:
        ValueError: (call) the file does not hold three axes.
    """

    def __init__(self) -> None:
        self.reader = NibabelReader()

    def __call__(self, path: str | Path) -> MetaTensor:
        """Read one file."""
        array, meta = self.reader.get_data(self.reader.read(str(path)))
        if array.ndim != 3:
            msg = f"has {array.ndim} axes of sizes {array.shape}, expected 3 (along-scan, depth, slice)"
            raise ValueError(msg)
        # Headers of several vendors are not of one form and would not collate; the affine is all that is used.
        return MetaTensor(np.ascontiguousarray(array[None], dtype=np.float32), affine=meta["affine"])


class LoadPhotograph(Transform):
    """Read a photograph into float32 (3, rows, columns), values 0..255, row 0 at the top, column 0 at the left.

    The EXIF orientation of a JPEG is honoured: the image is turned as a viewer would show it. Grey becomes three equal
    channels, 16-bit grey is scaled to 0..255, a palette becomes RGB, and transparency is laid over black, which is what
    surrounds a fundus.
    """

    def __call__(self, path: str | Path) -> MetaTensor:
        """Read one file."""
        with Image.open(path) as file:
            pixels = _rgb(ImageOps.exif_transpose(file))
        return MetaTensor(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class _LoadFiles(MapTransform):
    """Dictionary form: `loader` on each key's path, errors with the case's pseudonym."""

    loader: Transform
    kind: str

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each key's path by its image."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._read(item, key)
        return item

    def _read(self, item: Mapping[Hashable, Any], key: Hashable) -> MetaTensor:
        try:
            return self.loader(item[key])
        except _UNREADABLE as error:
            # Not chained: the readers' texts hold paths, whose folders may name a patient.
            raise MedmdError(self._message(item, key, error)) from None

    def _message(self, item: Mapping[Hashable, Any], key: Hashable, error: Exception) -> str:
        path = str(item[key])
        reason = str(error).replace(path, f"<{key}>") if Path(path).exists() else "no such file"
        return f"{case_name(item)}: {key!r} cannot be read as a {self.kind}: {reason}"


class LoadVolumed(_LoadFiles):
    """Dictionary form of `LoadVolume`: each key's path becomes a float32 MetaTensor (1, x, y, z).

    Args:
        keys: volumes to read; only NIfTI, which every converter writes.
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        MedmdError: (call) the file is absent, damaged, or not three-dimensional.
    """

    kind = "NIfTI volume"

    def __init__(self, keys: Sequence[str] | str, *, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.loader = LoadVolume()


class LoadPhotographd(_LoadFiles):
    """Dictionary form of `LoadPhotograph`: each key's path becomes a float32 MetaTensor (3, rows, columns).

    Args:
        keys: photographs to read (PNG, JPEG, TIFF, BMP: whatever pillow reads).
        allow_missing_keys: skip modalities that the item does not have.

    Raises:
        MedmdError: (call) the file is absent, damaged, or not an image.
    """

    kind = "photograph"

    def __init__(self, keys: Sequence[str] | str, *, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.loader = LoadPhotograph()


def _rgb(image: Image.Image) -> np.ndarray:
    """(rows, columns, 3) float32 in 0..255 from any mode of pillow."""
    if image.mode.startswith("I"):
        # pillow's own conversion to RGB would clip 16-bit values at 255.
        grey = np.asarray(image, dtype=np.float32) / 257.0
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("RGB"), dtype=np.float32)
