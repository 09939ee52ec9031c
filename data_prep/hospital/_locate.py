"""From a pointer of a report back to the file, on the screen of whoever holds the export and the key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.hospital._convert import check_key, find_root
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._walk import walk


def locate(source: str | Path, out: str | Path, pointers: Sequence[str], *, key: bytes) -> dict[str, Path | None]:
    """Where the files are that a report points to. The answer identifies: it belongs on a screen, not in a file.

    Args:
        source: folder of the export.
        out: folder of the conversion.
        pointers: as reports give them, of files or examinations, and identifiers of cases.
        key: with which the conversion was made.

    Returns:
        Pointer -> path, None for one that is not found.

    Raises:
        MedmdError: the key is another, or there is no such export.
    """
    root = find_root(Path(source))
    pseudonyms = Pseudonyms(key)
    check_key(Path(out), pseudonyms)
    found: dict[str, Path | None] = dict.fromkeys(pointers)
    wanted = {pointer.split("-")[0].lower(): pointer for pointer in pointers}
    for name, path in _named(root, pseudonyms):
        if name in wanted:
            found[wanted[name]] = path
    return found


def _named(root: Path, pseudonyms: Pseudonyms) -> Iterator[tuple[str, Path]]:
    """Every pointer of the export with the path that it stands for."""
    for found in walk(root):
        yield pseudonyms.pointer(found.place), root / found.place
