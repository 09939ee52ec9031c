"""Whether one method is better than all others, and how much of what the images know it reaches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from medmd.benchmark import Runs
from medmd.comparison import Rows, compare_rows, rows_of_runs
from medmd.report.blocks import markdown_table

CEILING = "information"
LEVEL = 0.05
ENOUGH = 0.9
_NEAREST = 3


@dataclass(frozen=True)
class Bar:
    """One method against all others of a data set.

    Attributes:
        dataset: title of the data set.
        method: row.
        beaten: rows with a higher MSE: the paired 95 % interval of the difference lies above 0, permutation p < 0.05.
        undecided: rows of which neither holds.
        better: rows with a lower MSE, likewise.
        left_out: rows that mix several predictions.
        titles: by row, for readers.
        nearest: (row, difference, low, high) of the best ones of the others: their MSE minus the method's.
        r2: of the method.
        ceiling: R2 of the information ceiling; None where the truth is not known.
    """

    dataset: str
    method: str
    beaten: tuple[str, ...]
    undecided: tuple[str, ...]
    better: tuple[str, ...]
    left_out: tuple[str, ...]
    titles: Mapping[str, str]
    nearest: tuple[tuple[str, float, float, float], ...]
    r2: float
    ceiling: float | None

    @property
    def reached(self) -> bool:
        """Whether every other row is beaten and, where it is known, enough of the ceiling reached."""
        return (
            bool(self.beaten)
            and not self.undecided
            and not self.better
            and (self.share is None or self.share >= ENOUGH)
        )

    @property
    def share(self) -> float | None:
        """R2 as a share of the ceiling's, where that is known."""
        return None if self.ceiling is None else self.r2 / self.ceiling


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
        _only(rows, others), baseline=method, statistic="mse", correction="none", seed=seed, all_pairs=False
    )
    entries = {entry["name"]: entry for entry in comparison["rows"]}
    found = {
        name: entry["difference"]
        for name, entry in entries.items()
        if entry["difference"] is not None and entry["label"] != "reference"
    }
    ends = {name: tuple(float(each[end]) for end in ("estimate", "low", "high")) for name, each in found.items()}
    sure = {name for name, each in found.items() if each["p_permutation"] < LEVEL}
    beaten = tuple(name for name, (_, low, _) in ends.items() if low > 0 and name in sure)
    better = tuple(name for name, (*_, high) in ends.items() if high < 0 and name in sure)
    nearest = sorted(ends, key=lambda name: ends[name][0])[:_NEAREST]
    ceiling = entries.get(CEILING, {}).get("metrics", {}).get("r2", {}).get("estimate")
    return Bar(
        dataset=runs.title(dataset),
        method=method,
        beaten=beaten,
        undecided=tuple(name for name in ends if name not in beaten + better),
        better=better,
        left_out=tuple(name for name in rows.names if name in mixed and not name.startswith(f"{method}_")),
        titles={name: rows.titles[name] for name in rows.names},
        nearest=tuple((name, *ends[name]) for name in nearest),
        r2=float(entries[method]["metrics"]["r2"]["estimate"]),
        ceiling=ceiling,
    )


def _only(rows: Rows, names: Collection[str]) -> Rows:
    kept = [name for name in rows.table.columns if name not in rows.names or name in names]
    return replace(rows, table=rows.table[kept])


def _without(bars: Sequence[Bar]) -> str:
    names = dict.fromkeys(each.titles[name] for each in bars for name in each.left_out)
    return f" Left out, as mixtures of several predictions: {'; '.join(names)}." if names else ""


def bar_section(bars: Sequence[Bar], title: str) -> list[str]:
    """What was found, as parts of a Markdown page; nothing without a `Bar`."""
    if not bars:
        return []
    reached = sum(each.reached for each in bars)
    text = (
        f"Rows are *beaten* when {title} has the lower MSE, the paired 95 % interval leaves out 0 and permutation p < "
        f"{LEVEL:g}; *better* when it is the other way round; else *undecided*. Nothing is corrected for so many rows. "
        f"{title} beats all others on {reached} of {len(bars)} data sets. The information ceiling is what an oracle "
        f"that knows the phantom's truth predicts; {ENOUGH:.0%} of its R2 is asked for.{_without(bars)}"
    )
    header = [
        "data set",
        "beaten",
        "undecided",
        "better",
        "lowest of the others: their MSE minus its",
        "R2",
        "of ceiling",
    ]
    cells = [
        [
            each.dataset,
            str(len(each.beaten)),
            str(len(each.undecided)),
            "; ".join(each.titles[name] for name in each.better) or "none",
            "; ".join(
                f"{each.titles[name]} {value:+.3g} ({low:+.3g} to {high:+.3g})"
                for name, value, low, high in each.nearest
            ),
            f"{each.r2:.3f}",
            "–" if each.share is None else f"{each.share:.0%}",
        ]
        for each in bars
    ]
    return [f"## Is {title} better than all others?", text, markdown_table(header, cells)]
