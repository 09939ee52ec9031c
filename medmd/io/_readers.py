"""Which reader a file is for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from medmd.io._records import Record
from medmd.io._refusal import RefusedError
from medmd.io._source import Source, head

# In this order the readers are asked: strict signatures first.
FORMATS: tuple[str, ...] = (
    "dicom",
    "heidelberg_vol",
    "heidelberg_e2e",
    "heidelberg_xml",
    "hfa_xml",
    "topcon",
    "volume_image",
    "picture",
    "zeiss_img",
)


def recognise(source: Source) -> str | None:
    """Name of the format by the file's content, or None when no reader knows it."""
    start = head(source)
    return next((name for name in FORMATS if _module(name).matches(start, source)), None)


def read_all(source: Source) -> list[Record]:
    """Every examination of a file.

    Args:
        source: a path, or the file's bytes.

    Raises:
        RefusedError: no reader knows the file, it is damaged, contradicts itself, or must not be used. The text holds
            nothing from the file and not its name.
        FileNotFoundError, PermissionError: the path cannot be opened.
    """
    name = recognise(source)
    if name is None:
        raise RefusedError(
            reason="format-unknown",
            detail="No reader knows the content of this file.",
            fix="The formats that can be read are listed in docs/reference/formats.md.",
        )
    try:
        return list(_module(name).read_all(source))
    except RefusedError:
        raise
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise whatever they like over damaged files
        # Without the chain: its text may hold a name from the file.
        detail = f"The reader `{name}` failed ({type(error).__name__})."
        raise RefusedError(reason="damaged", detail=detail, fix="Export the examination again.") from None


def read(source: Source) -> Record:
    """The only examination of a file.

    Raises:
        RefusedError: as `read_all`, or the file holds none or several.
    """
    records = read_all(source)
    if len(records) != 1:
        detail = f"Expected one examination in the file, found {len(records)}."
        raise RefusedError(
            reason="not-one-examination", detail=detail, fix="Use `read_all` for files that hold several."
        )
    return records[0]


def _module(name: str) -> Any:
    return import_module(f"medmd.io.{name}")
