"""From a pointer of a report back to the file, on the screen of whoever holds the export and the key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_prep.hospital._convert import check_key, find_root
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._walk import walk

# A pointer to a row of a table is made from the table's place and the row's number. So many rows are tried.
_MOST_ROWS = 100_000
# Cases of files that hold several visual fields are tried up to this number.
_MOST_IN_A_FILE = 16
_TABLES = (".csv", ".tsv", ".txt", ".xlsx")


def locate(source: str | Path, out: str | Path, pointers: Sequence[str], *, key: bytes) -> dict[str, Path | None]:
    """Where the files are that a report points to. The answer identifies: it belongs on a screen, not in a file.

    Args:
        source: folder of the export.
        out: folder of the conversion.
        pointers: of files, examinations or rows of tables as reports give them, and identifiers of cases, which stand
            for the file of the visual field.
        key: with which the conversion was made.

    Returns:
        Pointer -> path, with `#` and the number for a row; None for one that is not found.

    Raises:
        MedmdError: the key is another, or there is no such export.
    """
    root = find_root(Path(source))
    pseudonyms = Pseudonyms(key)
    check_key(Path(out), pseudonyms)
    found: dict[str, Path | None] = dict.fromkeys(pointers)
    wanted = {pointer.split("-")[0].lower(): pointer for pointer in pointers}
    for name, path in _named(root, pseudonyms):
        if name in wanted and found[wanted[name]] is None:
            found[wanted[name]] = path
            if all(found.values()):
                break
    return found


def _named(root: Path, pseudonyms: Pseudonyms) -> Iterator[tuple[str, Path]]:
    """Every pointer of the export, and every case that it may have given, with the path that it stands for."""
    tables = []
    for each in walk(root):
        yield from _names(each.place, root, pseudonyms)
        pointer = pseudonyms.pointer(each.place)
        for number in range(_MOST_IN_A_FILE):
            yield pseudonyms.case(f"{pointer}-{number}"), root / each.place
        if each.place.lower().endswith(_TABLES):
            tables.append(each.place)
    for place in tables:
        for number in range(1, _MOST_ROWS):
            yield from _names(f"{place}#{number}", root, pseudonyms)


def _names(place: str, root: Path, pseudonyms: Pseudonyms) -> Iterator[tuple[str, Path]]:
    pointer = pseudonyms.pointer(place)
    yield pointer, root / place
    yield pseudonyms.case(pointer), root / place
