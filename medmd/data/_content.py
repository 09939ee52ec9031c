"""What a file holds, apart from how it is stored: digests by which identical content is found."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medmd.data._records import InputValue
from medmd.utils import sha256_bytes, sha256_file

_TELLING_VALUES = 8


@dataclass(frozen=True, kw_only=True)
class Content:
    """What was found in one file.

    Args:
        sha256: digest of the file's bytes.
        digest: digest of the decoded array; equal for one scan saved twice, with another header or compression.
        shape: of the decoded array.
        finite: False when a voxel is NaN or infinite.
        blank: True when all values are equal.
    """

    sha256: str
    digest: str
    shape: tuple[int, ...]
    finite: bool
    blank: bool


def hash_inputs(folder: str | Path, inputs: Mapping[str, InputValue]) -> dict[str, str]:
    """SHA-256 of every present input, as a case's `hashes` hold it.

    Args:
        folder: the datalist's folder.
        inputs: as in `Case.inputs`. Of a file its bytes are hashed, of a list of numbers its shortest JSON text.
    """
    return {
        name: sha256_file(Path(folder) / value) if isinstance(value, str) else vector_hash(value)
        for name, value in inputs.items()
        if value is not None
    }


def vector_hash(values: Sequence[float]) -> str:
    """SHA-256 of the numbers' shortest JSON text, each written as a float."""
    return sha256_bytes(json.dumps([float(value) for value in values], separators=(",", ":")).encode())


def vector_digest(values: Sequence[float]) -> str | None:
    """Digest by which vectors are held to be identical; None below eight different values, which chance may repeat."""
    return vector_hash(values) if len(set(values)) >= _TELLING_VALUES else None


def read_content(path: Path, kind: str) -> Content:
    """Read and decode a whole file once.

    Args:
        path: the file.
        kind: `volume` (NIfTI) or `image`.

    Raises:
        Exception: whatever nibabel, Pillow or zlib raise on a file that they cannot read.
    """
    data = path.read_bytes()
    array = _decode_volume(data) if kind == "volume" else _decode_image(data)
    values = np.ascontiguousarray(array)
    header = f"{kind} {values.shape} {values.dtype.str} ".encode()
    return Content(
        sha256=sha256_bytes(data),
        digest=sha256_bytes(header + values.tobytes()),
        shape=values.shape,
        finite=bool(np.isfinite(values).all()) if values.dtype.kind in "fc" else True,
        blank=bool(values.size == 0 or (values == values.flat[0]).all()),
    )


def _decode_volume(data: bytes) -> np.ndarray[Any, Any]:
    import nibabel

    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    kind = nibabel.Nifti2Image if plain[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") else nibabel.Nifti1Image
    return np.asanyarray(kind.from_bytes(plain).dataobj)


def _decode_image(data: bytes) -> np.ndarray[Any, Any]:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB") if image.mode in ("P", "RGBA", "CMYK") else image)
