"""Files that are no examination, told apart so that a person knows what to do about each."""

from __future__ import annotations

from pathlib import Path

_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"BZh", b"\xfd7zXZ\x00")
_TAR, _TAR_AT = b"ustar", 257
# Excel's newer files are ZIP archives, its older ones OLE documents.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".xls", ".xlsx", ".xlsm", ".ods"})


def leftover(path: Path) -> str | None:
    """Reason code of a file that no reader knows; None when one does, or when nothing can be said of it.

    Raises:
        OSError: the file cannot be opened.
    """
    from medmd.io import recognise

    with path.open("rb") as file:
        start = file.read(_TAR_AT + len(_TAR))
    if not start:
        return "empty-file"
    if recognise(path) is not None:
        return None
    suffix = path.suffix.lower()
    if start.startswith(b"%PDF"):
        return "document"
    if suffix in _TABLE_SUFFIXES or start.startswith(_OLE):
        return "table-not-listed"
    if start.startswith(_ARCHIVES) or start[_TAR_AT:] == _TAR:
        return "archive"
    return "format-unknown"
