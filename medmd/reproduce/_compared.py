"""Lines of the paper measured on one data set of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medmd.comparison import Comparison, Rows, compare_rows, rows_of_runs
from medmd.reproduce._lines import Line
from medmd.reproduce._select import Selection, select
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.benchmark import Runs


@dataclass(frozen=True)
class Options:
    """How numbers are made.

    Attributes:
        statistic: what is tested.
        correction: of p-values.
        seed: of resamples and permutations.
        replicates: of the bootstrap.
        permutations: at least.
        split: of the predictions.
    """

    statistic: str = "mse"
    correction: Any = "holm"
    seed: int = 0
    replicates: int = 2000
    permutations: int = 9999
    split: str = "testing"


@dataclass(frozen=True)
class Measured:
    """Lines on one data set.

    Attributes:
        selection: which runs are which line.
        rows: their predictions, or None when no line was found.
        comparison: their numbers, or None.
    """

    selection: Selection
    rows: Rows | None
    comparison: Comparison | None

    def entry(self, name: str) -> dict[str, Any] | None:
        """The numbers of one row."""
        if self.comparison is None:
            return None
        return next((row for row in self.comparison["rows"] if row["name"] == name), None)

    def names(self, line: Line) -> list[str]:
        """The rows that a line gave."""
        here = [] if self.rows is None else self.rows.names
        return [name for name in here if self.selection.lines[name].name == line.name]


def measure_lines(
    runs: Runs, dataset: str, lines: Sequence[Line], options: Options, *, baseline: str | None = None
) -> Measured:
    """Find the lines' runs and compare them; a baseline that is not there is replaced by the first row."""
    selection = select(runs, lines, dataset)
    if not selection.runs.rows:
        return Measured(selection, None, None)
    rows = rows_of_runs(selection.runs, dataset, split=options.split)
    if rows.classes and options.statistic != "error_rate":
        msg = (
            f"{dataset}: its targets are classes, and this page is of numbers. Choose a data set of numbers with "
            "--dataset; `medmd compare` compares classes."
        )
        raise MedmdError(msg)
    comparison = compare_rows(
        rows,
        baseline=baseline if baseline in rows.names else None,
        statistic=options.statistic,
        correction=options.correction,
        seed=options.seed,
        replicates=options.replicates,
        permutations=options.permutations,
    )
    return Measured(selection, rows, comparison)
