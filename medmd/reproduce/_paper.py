"""The paper's tables as they were printed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from medmd.utils import read_json

_FILE = Path(__file__).with_name("paper.json")
METRICS = ("r2", "mse", "mae")


@cache
def paper() -> dict[str, Any]:
    """The file: `source`, `unit`, `notes`, `table1`, `table2` (row -> title and metrics by data set)."""
    found: dict[str, Any] = read_json(_FILE)
    return found


def printed(table: str | None, key: str) -> dict[str, Any] | None:
    """A printed row, or None when the table has none of that name."""
    row: dict[str, Any] | None = None if table is None else paper()[table].get(key)
    return row


def printed_sets(table: str) -> list[str]:
    """The data sets of a printed table."""
    first = next(iter(paper()[table].values()))
    return [name for name in first if name != "title"]
