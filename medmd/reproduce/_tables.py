"""The paper's tables with our numbers beside the printed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from medmd.comparison import implied_variance
from medmd.comparison.formatting import explain, named, p_text, title_of, with_ends
from medmd.reproduce._compared import Measured, Options, measure_lines
from medmd.reproduce._items import SETTINGS, Item, is_of_setting
from medmd.reproduce._lines import Line
from medmd.reproduce._page import Heading, Page
from medmd.reproduce._paper import METRICS, paper, printed, printed_sets
from medmd.reproduce._select import absent, modality_of, title_of_none

if TYPE_CHECKING:
    from medmd.benchmark import Runs

_NO_PRINT = "The paper's numbers for this are in an appendix that is not public."
_CLASSES = ("4", "5")


def table_page(item: Item, runs: Runs, dataset: str, options: Options) -> Page:
    """Every row of a table: measured, tested against the baseline, and as printed."""
    page = Page(item.name, f"{item.title} ({dataset})")
    page.say(f"The paper's claim: {item.claim}")
    measured = measure_lines(runs, dataset, item.lines, options, baseline=item.baseline)
    add_table(page, item, measured, dataset)
    return page


def add_table(page: Page, item: Item, measured: Measured, dataset: str) -> None:
    """The table, what it rests on, and what is missing."""
    sets = printed_sets(item.printed) if item.printed else []
    rows = list(_display_rows(item.lines, measured, item.printed))
    header, cells = _cells(rows, measured, sets)
    page.show(header, cells)
    if measured.comparison is not None:
        for line in explain(measured.comparison):
            page.say(line)
    if item.printed:
        page.say(_about_print(item.printed, sets))
    else:
        page.say(_NO_PRINT)
    missing = [line for line in item.lines if not measured.names(line)]
    if missing:
        page.say(f"Without a finished run on {dataset}: {absent(missing)}.", note=True)
        page.missing += [line.name for line in missing]
    page.numbers += [_numbers(row, measured, sets, dataset) for row in rows]


def settings_page(item: Item, runs: Runs, options: Options, chosen: Sequence[str]) -> Page:
    """One table for each of the chosen data sets of each of the five settings."""
    page = Page(item.name, item.title)
    page.say(f"The paper's claim: {item.claim} {_NO_PRINT} Numbers are of the data sets that were run.")
    for number, (name, datasets, lines) in SETTINGS.items():
        here = [dataset for dataset in chosen if is_of_setting(dataset, datasets)]
        page.blocks.append(Heading(f"Setting {number}: {name}"))
        if not here:
            page.say(f"Not measured: no data set of this setting was run ({', '.join(datasets)}).", note=True)
            page.missing.append(f"setting {number}")
        for dataset in here:
            page.say(f"{dataset}:")
            sub = Item(name=item.name, title=name, claim=item.claim, kind="table", lines=lines)
            fitting = options if number not in _CLASSES else Options(**{**vars(options), "statistic": "error_rate"})
            measured = measure_lines(runs, dataset, lines, fitting, baseline=sub.baseline)
            add_table(page, sub, measured, dataset)
    page.blocks = _without_repeats(page.blocks)
    return page


def _without_repeats(blocks: list[Any]) -> list[Any]:
    return [block for block in blocks if getattr(block, "text", None) != _NO_PRINT]


def _display_rows(
    lines: Sequence[Line], measured: Measured, table: str | None
) -> Iterator[tuple[Line, str | None, dict[str, Any] | None]]:
    """(line, name of the measured row or None, printed row or None), each printed row once."""
    shown: set[str] = set()
    for line in lines:
        for name in measured.names(line):
            key = (line.printed or "").replace("*", modality_of(line, name))
            shown.add(key)
            yield line, name, printed(table, key)
        for key in _printed_keys(line, table):
            if key not in shown:
                shown.add(key)
                yield line, None, printed(table, key)
        if not measured.names(line) and not _printed_keys(line, table):
            yield line, None, None


def _printed_keys(line: Line, table: str | None) -> list[str]:
    if line.printed is None or table is None:
        return []
    keys = dict.fromkeys(line.printed.replace("*", name) for name in ("oct", "fundus"))
    return [key for key in keys if key in paper()[table]]


def _cells(
    rows: Sequence[tuple[Line, str | None, dict[str, Any] | None]], measured: Measured, sets: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    comparison = measured.comparison
    statistic = "mse" if comparison is None else comparison["statistic"]
    metrics = [statistic] if statistic == "error_rate" else list(METRICS)
    names = [named(name, "" if comparison is None else comparison["target"]["unit"]) for name in metrics]
    header = ["", *names, "difference", "p corrected", "seeds"]
    header += [f"{name} printed: R2, MSE, MAE" for name in sets]
    header += [f"{name} implied variance" for name in sets]
    return header, [_row(row, measured, sets, metrics, statistic) for row in rows]


def _row(
    row: tuple[Line, str | None, dict[str, Any] | None],
    measured: Measured,
    sets: Sequence[str],
    metrics: Sequence[str],
    statistic: str,
) -> list[str]:
    line, name, as_printed = row
    entry = None if name is None else measured.entry(name)
    comparison = measured.comparison
    if entry is None or comparison is None:
        cells = [_title_of_absent(line, as_printed), *("–" for _ in metrics), "–", "–", "–"]
    else:
        best = name == comparison["best"]
        shown = [with_ends(entry["metrics"][key]) for key in metrics]
        shown = [f"**{text}**" if best and key == statistic else text for key, text in zip(metrics, shown, strict=True)]
        difference = entry["difference"]
        title = title_of(comparison, entry)
        cells = [f"**{title}**" if best else title, *shown]
        cells += (
            ["–", "–"]
            if difference is None
            else [with_ends(difference, signed=True), p_text(difference["p_corrected"])]
        )
        cells += [str(entry["seeds"])]
    return [*cells, *_printed_cells(as_printed, sets)]


def _title_of_absent(line: Line, as_printed: dict[str, Any] | None) -> str:
    """The title of a row without runs: one for each modality has the name that the paper prints."""
    return str(as_printed["title"]) if as_printed and "*" in line.title else title_of_none(line)


def _printed_cells(as_printed: dict[str, Any] | None, sets: Sequence[str]) -> list[str]:
    if as_printed is None:
        return ["–"] * (2 * len(sets))
    values = [as_printed[name] for name in sets]
    numbers = [f"{value['r2']:.3f}, {value['mse']:#.3g}, {value['mae']:.2f}" for value in values]
    return [*numbers, *(plain_variance(value) for value in values)]


def plain_variance(value: dict[str, float]) -> str:
    """The variance of the target that a printed row implies."""
    return f"{implied_variance(value['mse'], value['r2']):.2f}"


def _about_print(table: str, sets: Sequence[str]) -> str:
    ranges = []
    for name in sets:
        implied = [implied_variance(row[name]["mse"], row[name]["r2"]) for row in paper()[table].values()]
        ranges.append(f"{min(implied):.1f} to {max(implied):.1f} ({name})")
    return (
        f"Printed: {paper()['source']}. MSE / (1 - R2) has to be the same in every row of one test set, its variance; "
        f"in the printed rows it is {' and '.join(ranges)}, so that their R2 and MSE are not of the same predictions. "
        f"Other data sets than ours: only the order of rows can be compared. {' '.join(paper()['notes'])}"
    )


def _numbers(
    row: tuple[Line, str | None, dict[str, Any] | None], measured: Measured, sets: Sequence[str], dataset: str
) -> dict[str, Any]:
    line, name, as_printed = row
    entry = None if name is None else measured.entry(name)
    found: dict[str, Any] = {
        "dataset": dataset,
        "line": line.name,
        "row": name or "",
        "title": _title_of_absent(line, as_printed) if entry is None else entry["title"],
        "runs_of": measured.selection.found.get(line.name, ""),
        "seeds": None if entry is None else entry["seeds"],
    }
    for key, ends in ({} if entry is None else entry["metrics"]).items():
        found |= {key: ends["estimate"], f"{key}_low": ends["low"], f"{key}_high": ends["high"]}
    difference = (entry or {}).get("difference") or {}
    for key in ("estimate", "low", "high", "p_bootstrap", "p_permutation", "p_corrected"):
        found[f"difference_{key}"] = difference.get(key)
    for place in sets:
        for key in METRICS:
            found[f"printed_{place}_{key}"] = None if as_printed is None else as_printed[place][key]
    return found
