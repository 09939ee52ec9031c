"""The files of an export and its tables, and everything they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.hospital._complete import ImageRows, Ledger, take_files, take_row
from data_prep.hospital._facts import Scanned
from data_prep.hospital._index import Index
from data_prep.hospital._pseudonyms import Pseudonyms
from data_prep.hospital._walk import Found, walk
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from data_prep.hospital._site import SiteConfig


@dataclass
class Export:
    """What lies in an export.

    Args:
        root: its folder.
        files: pointer -> file that is to be read.
        tables: place of a table of the site file -> pointer.
        aside: pointer -> reason, of what is not read.
    """

    root: Path = field(repr=False)
    files: dict[str, Found] = field(default_factory=dict, repr=False)
    tables: dict[str, str] = field(default_factory=dict, repr=False)
    aside: dict[str, str] = field(default_factory=dict)

    @property
    def places(self) -> dict[str, Path]:
        """Pointer -> path of each file that is to be read."""
        return {pointer: self.root / found.place for pointer, found in self.files.items()}


def find_files(root: Path, site: SiteConfig, pseudonyms: Pseudonyms) -> Export:
    """Everything below `root`, by what is to be done with it."""
    from data_prep.hospital._tables import table_places

    export = Export(root=root)
    tables = set(table_places(site, root))
    for found in walk(root):
        pointer = pseudonyms.pointer(found.place)
        if found.place in tables:
            export.tables[found.place] = pointer
        elif found.reason is not None:
            export.aside[pointer] = found.reason
        else:
            export.files[pointer] = found
    return export


def take_all(
    export: Export, index: Index, failed: Mapping[str, Scanned], site: SiteConfig, pseudonyms: Pseudonyms
) -> Ledger:
    """Enter everything that files and tables say.

    Args:
        export: what lies there.
        index: what was read.
        failed: what could not be read this time.
        site: names the tables.
        pseudonyms: makers of names.

    Raises:
        MedmdError: a table cannot be read, or is named twice.
    """
    from data_prep.hospital._tables import image_rows, table_fields

    ledger = Ledger()
    for pointer, reason in export.aside.items():
        ledger.set_aside(pointer, reason)
    for pointer in export.tables.values():
        ledger.files[pointer] = "table-unused"
    for each in failed.values():
        ledger.set_aside(each.pointer, each.reason or "", detail=each.detail, fix=each.fix)
    rows = ImageRows(image_rows(site, export.root), export.tables, pseudonyms)
    take_files(ledger, index.files(), rows, pseudonyms)
    rows.close(ledger)
    for row in table_fields(site, export.root):
        if pseudonyms.pointer(row.place) in ledger.file_of:
            msg = "tables: two entries of the site file fit one table of visual fields. Make their patterns narrower."
            raise MedmdError(msg)
        take_row(ledger, row, pointer=export.tables[row.table], pseudonyms=pseudonyms)
    return ledger
