"""The breakdown of errors by density of labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medmd.comparison import Rows
from medmd.comparison.formatting import named, with_ends
from medmd.metrics import clustered_bootstrap
from medmd.reproduce._compared import Options, measure_lines
from medmd.reproduce._figures import groups_figure
from medmd.reproduce._items import Item
from medmd.reproduce._labels import training_labels
from medmd.reproduce._page import Page
from medmd.reproduce._select import absent
from medmd.reproduce._tail import FEW, GROUPS, MANY, Regions, density_regions
from medmd.utils import MedmdError, derive_seed

if TYPE_CHECKING:
    from medmd.benchmark import Runs

# Those of the argument; more would hide one another.
_DRAWN = ("unimodal_", "joint_loss", "uniform_sum", "mmpareto", "late_average", "remd")


def tail_page(item: Item, runs: Runs, dataset: str, options: Options, *, datalist: Path | None = None) -> Page:
    """Mean absolute error of every row where training labels are many, medium and few."""
    page = Page(item.name, f"{item.title} ({dataset})")
    page.say(f"The paper's claim: {item.claim} Its numbers are in an appendix that is not public.")
    measured = measure_lines(runs, dataset, item.lines, options, baseline=item.baseline)
    missing = [line for line in item.lines if not measured.names(line)]
    page.missing += [line.name for line in missing]
    if measured.rows is not None:
        labels, source = training_labels(runs, dataset, datalist)
        try:
            regions = density_regions(labels)
        except MedmdError as error:
            msg = f"{dataset}: {error} These were {source}."
            raise MedmdError(msg) from None
        _fill(page, measured.rows, regions, source, options)
    if missing:
        page.say(f"Without a finished run on {dataset}: {absent(missing)}.", note=True)
    return page


def _fill(page: Page, rows: Rows, regions: Regions, source: str, options: Options) -> None:
    groups = regions.groups(rows.table["target"])
    parts = {name: rows.table[inside] for name, inside in groups.items()}
    entries = {name: _errors(part, rows, options) for name, part in parts.items()}
    counts = {name: (part["case_id"].nunique(), part["patient_id"].nunique()) for name, part in parts.items()}
    mae = named("mae", rows.unit)
    header = [f"{mae} [95 %]", *(f"{name} ({counts[name][0]} cases, {counts[name][1]} patients)" for name in GROUPS)]
    cells = [[rows.titles[row], *(_text(entries[name].get(row)) for name in GROUPS)] for row in rows.names]
    page.show(header, cells)
    page.say(
        f"Regions by the density of {regions.labels} labels ({source}; Gaussian kernel, Scott's bandwidth) relative to "
        f"its peak: many at {MANY:g} or more, few below {FEW:g}. In labels: {_edges(regions)}. Intervals draw patients "
        "and seeds; they are not differences, which are known better than either row."
    )
    page.numbers += [
        {
            "row": row,
            "title": rows.titles[row],
            "region": name,
            "cases": counts[name][0],
            **(entries[name].get(row) or {}),
        }
        for name in GROUPS
        for row in rows.names
    ]
    drawn = [row for row in rows.names if row.startswith(_DRAWN)]
    empty: dict[str, float | None] = {"estimate": None, "low": None, "high": None}
    lines = {rows.titles[row]: [entries[name].get(row) or empty for name in GROUPS] for row in drawn}
    caption = "Mean absolute error where labels are many, medium and few."
    figure = groups_figure(GROUPS, lines, title=page.title, detail="MAE with 95 % intervals", y=mae)
    page.draw("", caption, figure)


def _errors(part: pd.DataFrame, rows: Rows, options: Options) -> dict[str, dict[str, float | None]]:
    found = {}
    for name in rows.names:
        cells = part[part[name].notna()]
        if len(cells):
            intervals = clustered_bootstrap(
                cells["target"].to_numpy(np.float64),
                {name: cells[name].to_numpy(np.float64)},
                cells["patient_id"].to_numpy(),
                seed=derive_seed(options.seed, "tail", rows.name),
                replicates=options.replicates,
                statistics=("mae",),
                groups=cells["seed"].to_numpy() if cells["seed"].nunique() > 1 else None,
            )
            value = intervals[name]["mae"]
            found[name] = {"estimate": value.estimate, "low": _finite(value.low), "high": _finite(value.high)}
    return found


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _text(entry: dict[str, float | None] | None) -> str:
    return "–" if entry is None else with_ends(entry)


def _edges(regions: Regions) -> str:
    edges: dict[str, Any] = regions.edges()
    parts = [
        f"{name} {' and '.join(f'{low:.1f} to {high:.1f}' for low, high in edges[name])}"
        for name in GROUPS
        if edges[name]
    ]
    return "; ".join(parts)
