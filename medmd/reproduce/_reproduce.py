"""From the name of a table or figure to its page."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medmd.reproduce._bundle import trainings
from medmd.reproduce._compared import Options
from medmd.reproduce._cost_page import cost_page
from medmd.reproduce._items import ITEMS, Item
from medmd.reproduce._modulation import modulation_page
from medmd.reproduce._page import Page
from medmd.reproduce._plots import bars_page, sweep_page
from medmd.reproduce._propositions_page import propositions_page
from medmd.reproduce._tables import settings_page, table_page
from medmd.reproduce._tail_page import tail_page
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.benchmark import Runs


@dataclass(frozen=True)
class Sources:
    """What a page is made from; each may be absent.

    Attributes:
        runs: of a benchmark.
        dataset: of it; None for its only one.
        datalist: of the data set, for the density of labels and for landscapes.
        trainings: folders of trainings of the bundle by name, for figures 2 and 5.
        step_cost: JSON of `benchmarks/step_cost.py`.
    """

    runs: Runs | None = None
    dataset: str | None = None
    datalist: Path | None = None
    trainings: Mapping[str, Path] = field(default_factory=dict)
    step_cost: Path | None = None

    def needed(self, item: Item) -> tuple[Runs, str]:
        """The runs and the data set.

        Raises:
            MedmdError: there are none, there is no such data set, or several and none was chosen.
        """
        runs, names = self.chosen(item)
        if len(names) > 1:
            raise MedmdError(_which(runs, "none"))
        return runs, names[0]

    def chosen(self, item: Item) -> tuple[Runs, list[str]]:
        """The runs and the data set that was chosen, or all of them.

        Raises:
            MedmdError: there are no runs, or there is no such data set.
        """
        if self.runs is None:
            msg = (
                f"{item.name}: made from the runs of a benchmark. Name its folder with --work, or make one with --run."
            )
            raise MedmdError(msg)
        if self.dataset is None:
            return self.runs, self.runs.datasets
        if self.dataset not in self.runs.datasets:
            raise MedmdError(_which(self.runs, self.dataset))
        return self.runs, [self.dataset]


def _which(runs: Runs, got: str) -> str:
    return f"--dataset: expected one of {', '.join(runs.datasets)}; got {got}."


def item_of(name: str) -> Item:
    """The item of a name.

    Raises:
        MedmdError: there is none; the text names the nearest.
    """
    if name not in ITEMS:
        near = difflib.get_close_matches(name, ITEMS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Expected one of {', '.join(ITEMS)}."
        msg = f"nothing called {name!r} can be reproduced. {hint}"
        raise MedmdError(msg)
    return ITEMS[name]


def reproduce(name: str, sources: Sources, *, options: Options | None = None) -> Page:
    """Make the page of a table or figure.

    Args:
        name: one of `ITEMS`.
        sources: what there is.
        options: how numbers are made.

    Raises:
        MedmdError: no such item, or what it is made from is absent.
    """
    item = item_of(name)
    return _MAKERS[item.kind](item, sources, options or Options())


def _table(item: Item, sources: Sources, options: Options) -> Page:
    return table_page(item, *sources.needed(item), options)


def _bars(item: Item, sources: Sources, options: Options) -> Page:
    return bars_page(item, *sources.needed(item), options)


def _sweep(item: Item, sources: Sources, options: Options) -> Page:
    return sweep_page(item, *sources.needed(item), options)


def _tail(item: Item, sources: Sources, options: Options) -> Page:
    return tail_page(item, *sources.needed(item), options, datalist=sources.datalist)


def _settings(item: Item, sources: Sources, options: Options) -> Page:
    runs, datasets = sources.chosen(item)
    return settings_page(item, runs, options, datasets)


def _curves(item: Item, sources: Sources, options: Options) -> Page:
    # It loads trained networks, and torch with them.
    from medmd.reproduce._curves import curves_page

    folders = {name: sources.trainings[name] for name in trainings() if name in sources.trainings}
    return curves_page(item, folders, datalist=sources.datalist, place=sources.dataset or "", seed=options.seed)


def _modulation(item: Item, sources: Sources, options: Options) -> Page:
    folder = sources.trainings.get("sgm-all") or next(iter(sources.trainings.values()), None)
    return modulation_page(item, folder, place=sources.dataset or "")


def _cost(item: Item, sources: Sources, options: Options) -> Page:
    dataset = None if sources.runs is None else sources.needed(item)[1]
    return cost_page(item, sources.runs, dataset, step_cost=sources.step_cost)


def _propositions(item: Item, sources: Sources, options: Options) -> Page:
    return propositions_page(item, seed=options.seed)


_MAKERS: dict[str, Callable[[Item, Sources, Options], Page]] = {
    "table": _table,
    "bars": _bars,
    "sweep": _sweep,
    "tail": _tail,
    "settings": _settings,
    "curves": _curves,
    "modulation": _modulation,
    "cost": _cost,
    "propositions": _propositions,
}
