"""Whether the tables that a site file names are there and have the columns it names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import Table
from data_prep.hospital._site_yaml import Place, Problems
from data_prep.hospital._tables_rows import header_like, headers_of, match_header, table_files
from medmd.utils import MedmdError

# A header is repeated in a message only when it resembles what the site file says, which its author wrote down.
_RESEMBLES = 0.6


def check_tables(site: SiteConfig, source: Path, problems: Problems) -> None:
    """Add what is wrong with the tables to `problems`; of a table only the header row is read.

    Args:
        site: with tables whose settings are sound; others are passed over.
        source: the export.
        problems: so far.
    """
    for number, table in enumerate(site.tables):
        if table.file and table.kind:
            _check_table(table, ("tables", number), source, problems)


def _check_table(table: Table, place: Place, source: Path, problems: Problems) -> None:
    files = table_files(table, source)
    if not files:
        problems.add((*place, "file"), "no .csv, .tsv, .txt or .xlsx file below SRC fits this pattern")
    for number, path in enumerate(files, start=1):
        which = "the table" if len(files) == 1 else f"table {number} of the {len(files)} that fit"
        try:
            headers = headers_of(path, table)
        except MedmdError as error:
            problems.add((*place, "file"), f"{which}: {error}")
            continue
        _check_headers(table, (*place, "columns"), headers, which, problems)


def _check_headers(table: Table, place: Place, headers: Sequence[str], which: str, problems: Problems) -> None:
    missing = {name: header for name, header in table.columns.items() if match_header(header, headers) is None}
    if missing and not header_like(headers):
        what = f"row {table.header_row} of {which} looks like data, not like headers; see `header_row`"
        problems.add((*place[:-1], "header_row"), what)
        return
    for name, header in missing.items():
        problems.add((*place, name), f"{which} has no column, or several, named `{header}`{_nearest(header, headers)}")


def _nearest(header: str, headers: Sequence[str]) -> str:
    near = difflib.get_close_matches(header.casefold(), [each.casefold() for each in headers], n=1, cutoff=_RESEMBLES)
    if not near:
        return f"; none of its {len(headers)} columns has a similar name"
    return f"; the nearest is `{next(each for each in headers if each.casefold() == near[0])}`"
