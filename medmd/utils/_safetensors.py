"""The header of a safetensors file: what the file claims to hold, known before any of it is loaded."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medmd.utils._archive import refused, regular_file

# A network of a thousand tensors has a header of some 100 kB.
MOST_HEADER_BYTES = 8 << 20
_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class StoredTensor:
    """What the header says of one tensor.

    Attributes:
        kind: as safetensors writes it, for example `F32`.
        shape: lengths of its axes.
    """

    kind: str
    shape: tuple[int, ...]


def read_safetensors_header(path: str | Path, *, role: str) -> dict[str, StoredTensor]:
    """The tensors that a safetensors file holds, by name, without loading one; at most 8 MiB are read.

    Raises:
        MedmdError: the file is absent, no ordinary file or no safetensors file; or its tensors overlap, leave gaps, or
            claim another size than the file has.
    """
    path = Path(path)
    size = regular_file(path, role=role)
    with path.open("rb") as file:
        beginning = file.read(8)
        length = struct.unpack("<Q", beginning)[0] if len(beginning) == 8 else size
        most = min(size - 8, MOST_HEADER_BYTES)
        if not 2 <= length <= most:
            got = f"{length}; it is not a safetensors file, or damaged"
            raise refused(path, role, f"a header of 2 to {max(most, 0)} bytes", got)
        text = file.read(length)
    header = _parse(path, role, text)
    header.pop("__metadata__", None)
    places = sorted((_place(path, role, name, entry), name) for name, entry in header.items())
    end = 0
    for (begin, stop), name in places:
        if begin != end:
            raise refused(path, role, f"{name[:80]!r} at byte {end}", f"byte {begin}: tensors overlap or leave gaps")
        end = stop
    if end != size - 8 - length:
        raise refused(path, role, f"tensors of {size - 8 - length} bytes", f"a header that claims {end}")
    return {name: StoredTensor(entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}


def _parse(path: Path, role: str, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(path, role, "a JSON header", "something else: not a safetensors file, or damaged") from error
    if not isinstance(header, dict):
        raise refused(path, role, "a JSON object as header", type(header).__name__)
    return header


def _place(path: Path, role: str, name: str, entry: Any) -> tuple[int, int]:
    """Where the tensor begins and ends; its size follows from kind and shape and must be the same."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise refused(path, role, f"dtype, shape and data_offsets of {name[:80]!r}", str(entry)[:80])
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if (
        not isinstance(kind, str)
        or kind not in _WIDTHS
        or not _counts(shape)
        or not _counts(offsets)
        or len(offsets) != 2
    ):
        raise refused(path, role, f"a known kind of number, and lengths, of {name[:80]!r}", str(entry)[:120])
    claimed = math.prod(shape) * _WIDTHS[kind]
    if offsets[1] - offsets[0] != claimed:
        got = f"{offsets[1] - offsets[0]} bytes"
        raise refused(path, role, f"{claimed} bytes of {name[:80]!r} with shape {shape}"[:200], got)
    return offsets[0], offsets[1]


def _counts(values: Any) -> bool:
    # At most 16 axes: a thousand lengths would make their product a number of thousands of digits.
    return (
        isinstance(values, list)
        and len(values) <= 16
        and all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 48 for value in values)
    )
