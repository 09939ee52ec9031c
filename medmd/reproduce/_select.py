"""Which runs of a benchmark are a line of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from medmd.reproduce._lines import Line
from medmd.reproduce._match import method_of

if TYPE_CHECKING:
    from medmd.benchmark import Runs


class Selection(NamedTuple):
    """Lines found in a benchmark.

    Attributes:
        runs: the benchmark with these lines as its rows.
        found: by line, the method whose runs it reads.
        missing: lines that no finished run has.
        lines: by row, the line that it comes of: one with a `*` gives several.
    """

    runs: Runs
    found: dict[str, str]
    missing: list[Line]
    lines: dict[str, Line]


def select(runs: Runs, lines: Sequence[Line], dataset: str) -> Selection:
    """Find each line's runs: by overlays, settings and share of stage 1 of the plan's methods, else by name.

    Args:
        runs: of the benchmark.
        lines: what is looked for.
        dataset: name in the plan.
    """
    from medmd.benchmark import Row

    ended = runs.results[(runs.results["dataset"] == dataset) & (runs.results["status"] == "finished")]
    there = {method["name"]: method for method in runs.plan["methods"] if method["name"] in set(ended["method"])}
    rows, found, missing = [], {}, []
    for line in lines:
        method = method_of(line, there.values()) or _named(line, there)
        column = None if method is None else _column_of(runs, ended, method, line)
        if method is None or column is None:
            missing.append(line)
        else:
            found[line.name] = method
            label = str(there[method].get("label") or line.label)
            rows.append(Row(name=line.name, method=method, column=column, label=label, title=line.title))
    chosen = replace(runs, rows=rows)
    by_name = {line.name: line for line in lines}
    return Selection(chosen, found, missing, {name: by_name[row.name] for name, row in chosen.row_of(dataset).items()})


def absent(lines: Sequence[Line]) -> str:
    """The titles of lines without runs; some hold commas."""
    return "; ".join(title_of_none(line) for line in lines)


def title_of_none(line: Line) -> str:
    """The title of a line for which there is no row, and hence no name of a modality."""
    return line.title.replace("*", "each modality")


def modality_of(line: Line, name: str) -> str:
    """What stands in the place of the line's `*` in one of its rows."""
    before, _, after = line.name.partition("*")
    return name[len(before) : len(name) - len(after)] if "*" in line.name else ""


def _named(line: Line, methods: Mapping[str, Mapping[str, Any]]) -> str | None:
    # A method that the plan describes is what its description says, whatever its name.
    described = {name for name, method in methods.items() if method.get("overlays") or method.get("peer")}
    names = (line.method, line.name, line.name.replace("*", "").strip("_"))
    return next((name for name in names if name in methods and name not in described), None)


def _column_of(runs: Runs, ended: Any, method: str, line: Line) -> str | None:
    from medmd.benchmark import Row

    folder = ended.loc[ended["method"] == method, "folder"].iloc[0]
    columns = list(runs.table(folder).columns)
    return next(
        (column for column in line.column if Row("*" if "*" in column else "x", method, column).columns(columns)), None
    )
