"""Whether one method is better than all others, and how much of what the images know it reaches."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from medmd.benchmark import Runs
from medmd.comparison import Rows, compare_rows, rows_of_runs
from medmd.report.blocks import markdown_table

CEILING = "information"
ENOUGH = 0.9
_NEAREST = 3


@dataclass(frozen=True)
class Bar:
    """One method against all others of a data set.

    Attributes:
        dataset: name in the plan.
        method: row.
        beaten: rows with a higher MSE, the paired 95 % interval of the difference above 0.
        undecided: rows whose interval holds 0.
        better: rows with a lower MSE, the interval below 0.
        nearest: (row, difference, low, high) of the best ones of the others: their MSE minus the method's.
        r2: of the method.
        ceiling: R2 of the information ceiling; NaN where the truth is not known.
    """

    dataset: str
    method: str
    beaten: tuple[str, ...]
    undecided: tuple[str, ...]
    better: tuple[str, ...]
    nearest: tuple[tuple[str, float, float, float], ...]
    r2: float
    ceiling: float

    @property
    def reached(self) -> bool:
        """Whether every other row is beaten and, where it is known, enough of the ceiling reached."""
        return bool(self.beaten) and not self.undecided and not self.better and not self.share < ENOUGH

    @property
    def share(self) -> float:
        """R2 as a share of the ceiling's."""
        return self.r2 / self.ceiling


def bar(runs: Runs, dataset: str, method: str = "remd_plus", *, seed: int = 0) -> Bar | None:
    """Compare a method with every other row but its own columns, blends, and means over seeds; None without its runs.

    Args:
        runs: of a benchmark.
        dataset: name in its plan.
        method: row.
        seed: of resamples.
    """
    rows = rows_of_runs(runs, dataset)
    if method not in rows.names:
        return None
    mixed = {row.name for row in runs.rows if row.blend or row.ensemble}
    others = [name for name in rows.names if name not in mixed and not name.startswith(f"{method}_")]
    comparison = compare_rows(
        _only(rows, others), baseline=method, statistic="mse", correction="none", seed=seed, permutations=2
    )
    entries = {entry["name"]: entry for entry in comparison["rows"]}
    ends = {
        name: tuple(float(entry["difference"][end]) for end in ("estimate", "low", "high"))
        for name, entry in entries.items()
        if entry["difference"] is not None and entry["label"] != "reference"
    }
    nearest = sorted(ends, key=lambda name: ends[name][0])[:_NEAREST]
    ceiling = entries.get(CEILING, {}).get("metrics", {}).get("r2", {}).get("estimate")
    return Bar(
        dataset=dataset,
        method=method,
        beaten=tuple(name for name, (_, low, _) in ends.items() if low > 0),
        undecided=tuple(name for name, (_, low, high) in ends.items() if low <= 0 <= high),
        better=tuple(name for name, (*_, high) in ends.items() if high < 0),
        nearest=tuple((name, *ends[name]) for name in nearest),
        r2=float(entries[method]["metrics"]["r2"]["estimate"]),
        ceiling=np.nan if ceiling is None else float(ceiling),
    )


def _only(rows: Rows, names: Collection[str]) -> Rows:
    kept = [name for name in rows.table.columns if name not in rows.names or name in names]
    return Rows(rows.name, rows.table[kept], rows.titles, rows.labels, rows.notes, rows.classes)


def bar_section(bars: Sequence[Bar], title: str) -> list[str]:
    """What was found, as parts of a Markdown page; nothing without a `Bar`."""
    if not bars:
        return []
    reached = sum(each.reached for each in bars)
    text = (
        f"The paired 95 % interval of the MSE's difference leaves out 0 (*beaten*: {title} is better; *better*: the "
        f"other is) or does not (*undecided*); nothing is corrected for so many rows. {title} beats all others "
        f"on {reached} of {len(bars)} data sets. The information ceiling is what an oracle that knows the phantom's "
        f"truth predicts; {ENOUGH:.0%} of its R2 is asked for."
    )
    header = ["data set", "beaten", "undecided", "better", "lowest of the others: their MSE minus its", "R2", "of ceiling"]
    cells = [
        [
            each.dataset,
            str(len(each.beaten)),
            str(len(each.undecided)),
            ", ".join(each.better) or "none",
            "; ".join(f"{name} {value:+.3g} ({low:+.3g} to {high:+.3g})" for name, value, low, high in each.nearest),
            f"{each.r2:.3f}",
            "–" if np.isnan(each.share) else f"{each.share:.0%}",
        ]
        for each in bars
    ]
    return [f"## Is {title} better than all others?", text, markdown_table(header, cells)]
