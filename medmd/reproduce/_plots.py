"""Figure 1 (bars) and Figure 6 (sweeps)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medmd.comparison import HIGHER_IS_BETTER
from medmd.comparison.formatting import named, p_text, with_ends
from medmd.reproduce._compared import Measured, Options, measure_lines
from medmd.reproduce._figures import bars_figure, sweep_figure
from medmd.reproduce._items import Item
from medmd.reproduce._page import Heading, Page
from medmd.reproduce._tables import add_table

if TYPE_CHECKING:
    from medmd.benchmark import Runs


# All that see every input; the late average is that of separate networks.
_FUSED = ("joint_loss", "mmpareto", "uniform_sum", "remd", "late_average")


def bars_page(item: Item, runs: Runs, dataset: str, options: Options) -> Page:
    """MSE as bars, the paper's beside it in the table."""
    page = Page(item.name, f"{item.title} ({dataset})")
    page.say(f"The paper's claim: {item.claim}")
    measured = measure_lines(runs, dataset, item.lines, options, baseline=item.baseline)
    add_table(page, item, measured, dataset)
    if measured.comparison is not None:
        level = f"{100 * measured.comparison['level']:g} %"
        detail = f"orange: one modality alone; {options.statistic.upper()} with {level} intervals"
        entries = measured.comparison["rows"]
        label = named(options.statistic, measured.comparison["target"]["unit"])
        figure = bars_figure(entries, statistic=options.statistic, title=page.title, detail=detail, y=label)
        page.draw("", "Errors of single modalities and of fusion.", figure)
        page.say(_verdict(measured, options.statistic))
    return page


def sweep_page(item: Item, runs: Runs, dataset: str, options: Options) -> Page:
    """R2 over each swept setting, with the range that it spans."""
    page = Page(item.name, f"{item.title} ({dataset})")
    page.say(
        f"The paper's claim: {item.claim} It prints a figure without numbers. Adam and AdamW cancel a constant factor "
        "of the gradient, so that gamma can hardly matter under them; hence the sweep under SGD."
    )
    reference = measure_lines(runs, dataset, item.lines, options).entry("uniform_sum")
    panels: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for title, lines in item.sweep:
        measured = measure_lines(runs, dataset, lines, options)
        found = [(line, measured.entry(line.name)) for line in lines]
        panels[title] = [(line.title, entry["metrics"]["r2"]) for line, entry in found if entry is not None]
        page.missing += [line.name for line, entry in found if entry is None]
        page.blocks.append(Heading(title))
        if panels[title]:
            page.show(["value", "R2", "MSE"], [_cells(line.title, entry) for line, entry in found if entry is not None])
            page.say(_span(measured))
        else:
            page.say(f"Not run on {dataset}.", note=True)
        page.numbers += [
            {
                "panel": title,
                "value": line.title,
                **{f"r2_{key}": value for key, value in entry["metrics"]["r2"].items()},
            }
            for line, entry in found
            if entry is not None
        ]
    band = None if reference is None else reference["metrics"]["r2"]
    page.draw("", "R2 over m0, beta and gamma.", sweep_figure(panels, reference=band, title=page.title))
    return page


def _cells(value: str, entry: dict[str, Any]) -> list[str]:
    return [value, with_ends(entry["metrics"]["r2"]), with_ends(entry["metrics"]["mse"])]


def _span(measured: Measured) -> str:
    pairs = [] if measured.comparison is None else measured.comparison["pairs"]
    entries = [] if measured.comparison is None else measured.comparison["rows"]
    r2 = [entry["metrics"]["r2"]["estimate"] for entry in entries if entry["metrics"]["r2"]["estimate"] is not None]
    smallest = min((pair["p_corrected"] for pair in pairs if pair["p_corrected"] is not None), default=None)
    text = f"R2 spans {max(r2) - min(r2):.3f} over {len(r2)} values" if r2 else "R2 is undefined"
    return f"{text}; smallest corrected p of a pair {p_text(smallest)}."


def _verdict(measured: Measured, statistic: str) -> str:
    entries = measured.comparison["rows"] if measured.comparison is not None else []
    alone = [entry for entry in entries if entry["name"].startswith("unimodal_")]
    fused = [entry for entry in entries if entry["name"] in _FUSED]
    if not alone or not fused:
        return "Single modalities and fusion cannot be compared: one of them was not run."
    sign = -1.0 if statistic in HIGHER_IS_BETTER else 1.0
    errors = {entry["name"]: sign * entry["metrics"][statistic]["estimate"] for entry in (*alone, *fused)}
    best = min(alone, key=lambda entry: errors[entry["name"]])
    worse = [entry["title"] for entry in fused if errors[entry["name"]] > errors[best["name"]]]
    return (
        f"The best single modality is {best['title']} ({statistic.upper()} "
        f"{best['metrics'][statistic]['estimate']:.3f}). Fused rows that are worse: {'; '.join(worse) or 'none'}. "
        "Whether a difference is more than chance says the table's p only for differences to its baseline; `medmd "
        "compare --all-pairs` tests the others."
    )
