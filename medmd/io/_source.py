"""A path or bytes as something to read from, and its first bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

Source: TypeAlias = Path | str | bytes

# Enough for every signature that readers look for: a DICOM preamble and its first elements, a vendor's first header.
HEAD_BYTES = 4096


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """A seekable binary stream; closed at the end."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    with Path(source).open("rb") as stream:
        yield stream


def head(source: Source) -> bytes:
    """The first bytes."""
    with opened(source) as stream:
        return stream.read(HEAD_BYTES)


def size(source: Source) -> int:
    """Number of bytes."""
    return len(source) if isinstance(source, bytes) else Path(source).stat().st_size
