"""Reading an export: every file that is new or has changed, and what is known of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_prep._parallel import map_in_order
from data_prep.hospital._facts import Scanned
from data_prep.hospital._index import Index
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._scan import ScanTask, scan
from data_prep.hospital._walk import Found
from medmd.utils import Pool, cores, progress, sha256_file

# A file over which workers died is tried again in a later run: the machine may have been at fault.
_NOT_KEPT = frozenset({"worker-died", "changed-while-read", "file-unreadable"})
# Exports whose slices lie in files beside them.
_REFERRING = (".xml", ".mhd", ".nhdr", ".hdr")


def scan_export(
    root: Path,
    found: Mapping[str, Found],
    index: Index,
    pool: Pool,
    pseudonyms: Pseudonyms,
    *,
    verify: bool,
    octopus: bool,
) -> dict[str, Scanned]:
    """What cannot be kept in the index; everything else is in it afterwards.

    Args:
        root: of the export.
        found: pointer -> file, for every file that is to be read.
        index: what is known.
        pool: where to read.
        pseudonyms: makers of names.
        verify: compare the bytes of known files with what was read, not only their size and time.
        octopus: see `ScanTask`.

    Returns:
        Pointer -> why a file could not be read this time.
    """
    stamps = _stamps(found, pseudonyms, "octopus" if octopus else "")
    known = index.stamps()
    index.forget(set(known) - set(found))
    fresh = [pointer for pointer in found if known.get(pointer) != stamps[pointer]]
    if verify:
        same = [pointer for pointer in found if known.get(pointer) == stamps[pointer]]
        fresh += _changed(root, {pointer: found[pointer] for pointer in same}, index, pseudonyms)
    tasks = [
        ScanTask(
            pointer=pointer,
            root=root,
            place=found[pointer].place,
            size=found[pointer].size,
            changed=found[pointer].changed,
            pseudonyms=pseudonyms,
            octopus=octopus,
        )
        for pointer in fresh
    ]
    failed = {}
    results = pool.map(scan, tasks, lost=_lost)
    for scanned in progress(results, total=len(tasks), description="Reading", unit="file"):
        if scanned.reason in _NOT_KEPT:
            failed[scanned.pointer] = scanned
            index.forget([scanned.pointer])
        else:
            index.put(scanned, stamp=stamps[scanned.pointer])
    index.commit()
    return failed


def _stamps(found: Mapping[str, Found], pseudonyms: Pseudonyms, convention: str) -> dict[str, str]:
    """Pointer -> what changes with size and time of a file, or of what lies beside it when it may refer to that."""
    beside: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for each in found.values():
        folder, _, name = each.place.rpartition("/")
        beside[folder].append((name, each.size, each.changed))
    neighbours = {folder: pseudonyms.stamp(*sorted(facts)) for folder, facts in beside.items()}
    return {
        pointer: pseudonyms.stamp(
            pointer,
            each.size,
            each.changed,
            convention,
            neighbours[each.place.rpartition("/")[0]] if each.place.lower().endswith(_REFERRING) else "",
        )
        for pointer, each in found.items()
    }


def _changed(root: Path, found: Mapping[str, Found], index: Index, pseudonyms: Pseudonyms) -> Sequence[str]:
    def digest(pointer: str) -> str:
        try:
            return pseudonyms.stamp(sha256_file(root / found[pointer].place))
        except OSError:
            return ""

    digests: Iterator[str] = map_in_order(digest, list(found), workers=cores())
    compared = progress(zip(found, digests, strict=True), total=len(found), description="Comparing", unit="file")
    return [pointer for pointer, now in compared if index.digest(pointer) != now]


def _lost(task: ScanTask) -> Scanned:
    return Scanned(pointer=task.pointer, reason="worker-died")
