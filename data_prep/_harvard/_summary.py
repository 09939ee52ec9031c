"""The summary table that some releases of the lab carry: one row a sample, with its part and the person's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep._harvard._layout import Layout, Sample, named_part
from data_prep._tables import read_rows
from medmd.utils import MedmdError

# The words are those of the lab's data_summary_*.csv; other columns are not read.
_COLUMNS = ("filename", "use", "md", "age", "gender", "race", "ethnicity")


@dataclass
class Summary:
    """Rows by the sample's number.

    Args:
        rows: number -> column -> cell.
        parts: number -> part, where the table says one.
        table: the table's name below the source, None when there is none.
    """

    rows: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    parts: dict[int, str] = field(default_factory=dict)
    table: str | None = None


def read_summary(layout: Layout) -> Summary:
    """Read the table, if there is one.

    Raises:
        MedmdError: there are several, it has no column `filename`, or it cannot tell samples of one number apart.
    """
    if not layout.tables:
        return Summary()
    if len(layout.tables) > 1:
        msg = f"Two summary tables: {', '.join(layout.tables)}. Leave the one that belongs to these samples."
        raise MedmdError(msg)
    (name, path), *_ = layout.tables.items()
    if layout.repeated():
        msg = (
            f"{name}: samples of several parts bear one number, so that a row cannot be told to belong to one of them."
        )
        raise MedmdError(msg)
    return _read(name, path)


def with_parts(layout: Layout, summary: Summary) -> Layout:
    """The layout with the parts that the table gives to samples whose folder says none."""
    samples = [
        sample if sample.part else replace(sample, part=summary.parts.get(sample.number)) for sample in layout.samples
    ]
    return Layout(samples, layout.tables, layout.others)


def without_sample(summary: Summary, samples: list[Sample]) -> list[int]:
    """Numbers of rows whose sample is not there."""
    return sorted(set(summary.rows) - {sample.number for sample in samples})


def _read(name: str, path: Path) -> Summary:
    header, *rows = read_rows(path) or [()]
    names = [str(cell).strip().lower() for cell in header]
    if "filename" not in names:
        msg = f"{name}: expected a column filename, as the lab's summary tables have it."
        raise MedmdError(msg)
    summary = Summary(table=name)
    for row in rows:
        cells = {key: value for key, value in zip(names, row, strict=False) if key in _COLUMNS and value is not None}
        digits = "".join(filter(str.isdigit, str(cells.get("filename", ""))))
        if not digits:
            continue
        summary.rows[int(digits)] = cells
        part = named_part(str(cells.get("use", "")))
        if part:
            summary.parts[int(digits)] = part
    return summary
