"""The best single modality as a row of its own, chosen on validation without a look at what it is tested on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from medmd.benchmark import Runs
from medmd.comparison import Rows

BEST_SINGLE = "best_single"
_SINGLE = "unimodal_"


@dataclass(frozen=True)
class BestSingle:
    """Rows with the row `best_single`, and what it consists of.

    Attributes:
        rows: of the data set.
        chosen: modality -> in how many runs it was the best on validation, most often first.
    """

    rows: Rows
    chosen: dict[str, int]

    @property
    def told(self) -> str:
        """The modalities, with how often where there are several."""
        if len(self.chosen) == 1:
            return next(iter(self.chosen))
        return ", ".join(f"{name} {count}" for name, count in self.chosen.items())


def with_best_single(runs: Runs, rows: Rows) -> BestSingle | None:
    """Add the row that takes, in each fold and seed, the modality with the least MSE on that run's validation cases.

    The validation cases of one fold are test cases of another: a choice for all folds at once would have seen them.
    Modalities are judged on the cases that all of them predict.

    Args:
        runs: of a benchmark.
        rows: of one of its data sets, on testing.

    Returns:
        None without rows `unimodal_<modality>`.
    """
    long = runs.predictions(rows.name, "validation")
    long = long[long["row"].isin([name for name in rows.names if name.startswith(_SINGLE)])]
    if long.empty:
        return None
    picked = {}
    for run, part in long.groupby(["fold", "seed"]):
        wide = part.pivot_table(index="case_id", columns="row", values="prediction").dropna()
        target = part.drop_duplicates("case_id").set_index("case_id")["target"].reindex(wide.index)
        if len(wide):
            picked[run] = str(((wide.sub(target, axis=0)) ** 2).mean().idxmin())
    table = rows.table.copy()
    table[BEST_SINGLE] = np.nan
    for (fold, seed), name in picked.items():
        here = (table["fold"] == fold) & (table["seed"] == seed)
        table.loc[here, BEST_SINGLE] = table.loc[here, name]
    if table[BEST_SINGLE].isna().all():
        return None
    titles = {**rows.titles, BEST_SINGLE: "best single modality"}
    counts = Counter(name.removeprefix(_SINGLE) for name in picked.values())
    return BestSingle(replace(rows, table=table, titles=titles), dict(counts.most_common()))
