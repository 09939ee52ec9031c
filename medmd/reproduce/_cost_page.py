"""What a step of each method costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.reproduce._items import Item
from medmd.reproduce._page import Heading, Page
from medmd.utils import MedmdError, read_json

if TYPE_CHECKING:
    from medmd.benchmark import Runs


def cost_page(item: Item, runs: Runs | None, dataset: str | None, *, step_cost: Path | None) -> Page:
    """Time, FLOPs and memory of a step relative to the plain one, and processor time of the benchmark's runs.

    Args:
        item: what to show.
        runs: of a benchmark, or None.
        dataset: of it.
        step_cost: JSON that `benchmarks/step_cost.py` wrote, or None.

    Raises:
        MedmdError: the file is not one of these.
    """
    page = Page(item.name, item.title)
    page.say(f"The paper's claim: {item.claim} Its numbers are in an appendix that is not public.")
    if step_cost is None:
        page.say("Without a measurement of single steps: `python benchmarks/step_cost.py --output NAME` makes one; "
                 "name it with --step-cost NAME.json.", note=True)  # fmt: skip
        page.missing.append("step_cost")
    else:
        _add_steps(page, step_cost)
    if runs is not None and dataset is not None:
        _add_runs(page, runs, dataset)
    return page


def _add_steps(page: Page, path: Path) -> None:
    measured = read_json(path)
    if not isinstance(measured, Mapping) or not isinstance(measured.get("sizes"), Mapping):
        msg = f"{path.name}: expected the JSON of benchmarks/step_cost.py with `sizes`."
        raise MedmdError(msg)
    about = measured.get("environment", {})
    page.say(f"Single steps: batch {about.get('batch')}, {about.get('processor')}, PyTorch {about.get('torch')}, "
             f"{about.get('threads')} thread; ratios to the backward pass of the summed loss.")  # fmt: skip
    for size, methods in measured["sizes"].items():
        page.blocks.append(Heading(f"Images of {size} x {size}"))
        header = ["method", "FLOPs", "time", "processor time", "fastest step", "peak memory, MB"]
        page.show(header, [_step(name, values) for name, values in methods.items()])
        page.numbers += [{"size": size, "method": name, **values} for name, values in methods.items()]


def _step(name: str, values: Mapping[str, Any]) -> list[str]:
    ratios = ("flop_ratio", "wall_ratio", "processor_ratio", "wall_fastest_ratio")
    return [name, *(f"{values[key]:.2f}" for key in ratios), f"{values['peak_memory_mb']:.0f}"]


def _add_runs(page: Page, runs: Runs, dataset: str) -> None:
    ended = runs.results[(runs.results["dataset"] == dataset) & (runs.results["status"] == "finished")]
    ended = ended[ended["steps"].fillna(0) > 0]
    if ended.empty:
        return
    page.blocks.append(Heading(f"Runs on {dataset}"))
    cells = []
    for method, part in ended.groupby("method", sort=False):
        a_step = 1000 * part["processor"].sum() / part["steps"].sum()
        cells.append([str(method), f"{part['steps'].mean():.0f}", f"{part['processor'].mean():.2f}", f"{a_step:.2f}"])
        page.numbers.append({"dataset": dataset, "method": method, "steps": part["steps"].mean(),
                             "processor_seconds": part["processor"].mean(), "milliseconds_a_step": a_step})  # fmt: skip
    page.show(["method", "steps", "processor seconds", "milliseconds a step"], cells)
    page.say("Steps are of both stages; a step of stage 1 trains one encoder after another. Processor seconds are of "
             "whole trainings on a shared machine, validation in them.")  # fmt: skip
