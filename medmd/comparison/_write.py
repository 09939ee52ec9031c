"""Comparisons as files: Markdown, CSV, JSON and PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medmd.comparison._compare import Comparison
from medmd.comparison._figures import critical_figure, difference_figure
from medmd.comparison.formatting import comparison_table, explain, pair_table
from medmd.report.blocks import markdown_table
from medmd.utils import write_atomic, write_json

_NAME = "comparison"


def write_comparison(
    folder: str | Path,
    comparisons: Sequence[Comparison],
    *,
    ranking: Mapping[str, Any] | None = None,
    all_pairs: bool = False,
) -> list[Path]:
    """Write `comparison.md`, `.csv`, `.json` and the figures into a folder; equal inputs give equal bytes.

    Args:
        folder: made when absent; files of the same names are replaced.
        comparisons: one a data set, from `compare_rows`.
        ranking: from `rank_blocks`, or None.
        all_pairs: also write the table of all pairs.

    Returns:
        The files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    parts = ["# Comparison"]
    for comparison in comparisons:
        name = f"differences_{comparison['dataset']}.png" if comparison["dataset"] else "differences.png"
        figure = difference_figure(comparison)
        files |= {} if figure is None else {name: figure}
        parts += section(comparison, figure=None if figure is None else name, all_pairs=all_pairs)
    if ranking is not None:
        files["critical_difference.png"] = critical_figure(ranking)
        parts += ranking_section(ranking)
    for name, content in files.items():
        write_atomic(folder / name, content)
    write_atomic(folder / f"{_NAME}.md", "\n\n".join(parts) + "\n")
    write_atomic(folder / f"{_NAME}.csv", csv_text(comparisons))
    write_json(folder / f"{_NAME}.json", {"format": 1, "comparisons": list(comparisons), "ranking": ranking})
    return [folder / name for name in (f"{_NAME}.md", f"{_NAME}.csv", f"{_NAME}.json", *files)]


def section(comparison: Comparison, *, figure: str | None = None, all_pairs: bool = False) -> list[str]:
    """A comparison as parts of a Markdown page."""
    parts = [f"## {comparison['dataset']}"] if comparison["dataset"] else []
    parts += [markdown_table(*comparison_table(comparison)), "\n".join(f"- {line}" for line in explain(comparison))]
    if figure is not None:
        parts.append(f"![Paired differences to the baseline with intervals]({figure})")
    if all_pairs:
        parts.append(markdown_table(*pair_table(comparison), texts=2))
    return parts


def ranking_section(ranking: Mapping[str, Any]) -> list[str]:
    """Mean ranks as parts of a Markdown page."""
    sentence = (
        f"Friedman: chi-square {ranking['friedman']:.2f}, p = {ranking['p_value']:.2g}, {ranking['blocks']} blocks, "
        "each one seed, which all rows have, of one data set; mean ranks differ when "
        f"{ranking['critical_difference']:.2f} apart (Nemenyi, {ranking['level']:g}). Seeds of one data set share its "
        "cases: with few data sets this is too hopeful."
    )
    if ranking["left_out"]:
        sentence += f" Not in all data sets, hence not ranked: {', '.join(ranking['left_out'])}."
    cells = [[title, f"{rank:.2f}"] for title, rank in zip(ranking["titles"], ranking["ranks"], strict=True)]
    figure = "![Mean ranks with the critical difference](critical_difference.png)"
    return ["## Mean ranks", sentence, markdown_table(["", "mean rank"], cells), figure]


def csv_text(comparisons: Sequence[Comparison]) -> str:
    """Every number of every row, one line a row and data set, unrounded."""
    lines = [_flat(comparison, row) for comparison in comparisons for row in comparison["rows"]]
    header = list(dict.fromkeys(key for line in lines for key in line))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def _flat(comparison: Comparison, row: Mapping[str, Any]) -> dict[str, Any]:
    line = {"dataset": comparison["dataset"], **{key: row[key] for key in ("name", "title", "label", "cases", "seeds")}}
    for statistic, ends in row["metrics"].items():
        line |= {statistic: ends["estimate"], f"{statistic}_low": ends["low"], f"{statistic}_high": ends["high"]}
    line["seed_sd"] = row["seed_sd"]
    difference = row["difference"] or {}
    for key in ("estimate", "low", "high", "p_bootstrap", "p_permutation", "p_corrected"):
        line[f"difference_{key}"] = difference.get(key)
    return line | {"best": row["name"] == comparison["best"]}
