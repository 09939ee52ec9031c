"""What is compared: rows of predictions on the same cases, from tables or from a benchmark's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medmd.metrics import probability_columns
from medmd.report import load_inputs, predictor_columns, predictor_label, reference_columns
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.benchmark import Runs

KEYS = ("case_id", "patient_id", "fold", "seed", "target")
# What an oracle that knows the truth would predict: shown, never ranked.
_SPLITS = ("testing", "validation")
_CEILINGS = ("reference_information", "reference_label_noise")


@dataclass(frozen=True)
class Rows:
    """Predictions of several rows, every case once a seed.

    Attributes:
        name: of the data set.
        table: columns `case_id, patient_id, fold, seed, target`, then one a row, NaN where a row lacks the seed.
        titles: by row, for readers.
        labels: by row, `core`, `default`, `published`, `peer` or `reference`; a reference is shown and not ranked.
        notes: what was left out, in sentences.
        classes: whether targets and predictions are indices of classes.
        unit: of the target, such as `dB`; empty where it has none or several.
        means: rows that are means over their seeds. They are shown and not tested: of what other seeds would give, one
            mean says nothing, and patients alone make chance look like a difference.
    """

    name: str
    table: pd.DataFrame
    titles: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    classes: bool = False
    means: frozenset[str] = frozenset()
    unit: str = ""

    @property
    def names(self) -> list[str]:
        """The rows, in their order."""
        return [name for name in self.table.columns if name not in KEYS]

    @property
    def ranked(self) -> list[str]:
        """The rows that are compared with one another."""
        return [name for name in self.names if self.labels.get(name) != "reference" and name not in self.means]


def rows_of_tables(
    sources: Sequence[tuple[str, str | Path]], *, columns: Sequence[str] | None = None, split: str = "testing"
) -> Rows:
    """Rows from tables of predictions, or from folders of runs that hold one.

    Args:
        sources: (name, path); sources of one name are training seeds of one row, in this order.
        columns: predictors to take. None takes all of a single name, and `fusion` of several.
        split: which rows of the tables.

    Raises:
        MedmdError: a table cannot be read, has no such split or column, or two tables disagree about a case.
    """
    names = list(dict.fromkeys(name for name, _ in sources))
    parts, titles, labels = [], {}, {}
    units = set()
    classes = False
    seeds = dict.fromkeys(names, 0)
    for name, path in sources:
        inputs = load_inputs(path)
        table = inputs.table[inputs.table["split"] == split]
        if table.empty:
            found = ", ".join(sorted(set(inputs.table["split"]))) or "none"
            msg = f"{path}: no case in split {split!r}. Found: {found}. Choose one of them with --split."
            raise MedmdError(msg)
        units.add(inputs.target[1])
        classes = classes or any(probability_columns(table, column) for column in predictor_columns(table))
        for column in _columns_of(table, columns, single=len(names) == 1, where=str(path)):
            row = _row_name(name, column, single=len(names) == 1)
            titles[row] = _title(row, column, single=len(names) == 1, method=inputs.method)
            labels[row] = "reference" if column.startswith(_CEILINGS) else "default"
            kept = table[["case_id", "patient_id", "target"]]
            parts.append(kept.assign(row=row, fold=0, seed=seeds[name], prediction=table[column]))
        seeds[name] += 1
    rows = _widen("", pd.concat(parts, ignore_index=True), titles, labels)
    unit = units.pop() if len(units) == 1 else ""
    return replace(rows, classes=classes, unit=unit, notes=_with_split(rows.notes, split))


def rows_of_runs(runs: Runs, dataset: str, *, only: Sequence[str] | None = None, split: str = "testing") -> Rows:
    """The rows of a data set of a benchmark; folds are pooled, so that every case stands once a seed.

    A seed of a row counts when all folds of it are there. A `peer` or `reference` with one seed does not depend on
    seeds, and is repeated for all.

    Args:
        runs: from `medmd.benchmark.load_runs`.
        dataset: name in the plan.
        only: names of rows, in the order wanted; None for all.
        split: `testing` or `validation`.

    Raises:
        MedmdError: there is no such data set or row, or nothing has been predicted yet.
    """
    long = runs.predictions(dataset, split)
    if long.empty:
        raise MedmdError(_nothing(runs, dataset, split))
    if only is not None:
        unknown = [name for name in only if name not in set(long["row"])]
        if unknown:
            found = ", ".join(dict.fromkeys(long["row"])) or "none"
            msg = f"{dataset}: no predictions of {', '.join(unknown)}. Found rows: {found}."
            raise MedmdError(msg)
        long = pd.concat([long[long["row"] == name] for name in only], ignore_index=True)
    origins = runs.row_of(dataset)
    rows_of = {str(name): origins[name] for name in dict.fromkeys(long["row"])}
    titles = {name: row.title_of(name) for name, row in rows_of.items()}
    rows = _widen(dataset, long, titles, {name: row.label for name, row in rows_of.items()})
    means = frozenset(name for name, row in rows_of.items() if row.ensemble)
    return replace(
        rows,
        classes=runs.has_classes(dataset),
        means=means,
        unit=runs.unit(dataset),
        notes=_with_split([*rows.notes, *_of_means(rows, means)], split),
    )


def _of_means(rows: Rows, means: frozenset[str]) -> list[str]:
    titles = [rows.titles[name] for name in rows.names if name in means]
    if not titles:
        return []
    return [
        f"Means over the seeds are not tested, and their intervals hold for these seeds alone: {'; '.join(titles)}."
    ]


def _with_split(notes: Sequence[str], split: str) -> list[str]:
    """A comparison that is not one on test cases says so."""
    return [*notes] if split == "testing" else [f"Cases of the list {split}, not of testing.", *notes]


def _nothing(runs: Runs, dataset: str, split: str) -> str:
    """Why there are no predictions of a split."""
    status = runs.results.loc[runs.results["dataset"] == dataset, "status"]
    if split not in _SPLITS:
        return f"split: expected {' or '.join(_SPLITS)} of a benchmark, got {split!r}."
    if "finished" in set(status):
        return f"{dataset}: no row has predictions of split {split!r}. " + " ".join(runs.problems)
    failed = int((status == "failed").sum())
    if failed:
        return f"{dataset}: no run has finished; {failed} failed, the first as: {runs.problems[0]}"
    return f"{dataset}: no run has finished. Run the benchmark first."


def _widen(name: str, long: pd.DataFrame, titles: Mapping[str, str], labels: Mapping[str, str]) -> Rows:
    notes: list[str] = []
    cases = _agreed(long)
    long = _complete_seeds(long[long["prediction"].notna() & long["target"].notna()], notes)
    long = _repeat_peers(long, labels)
    common = _common_cases(long, notes)
    long = long[long["case_id"].isin(common)]
    wide = long.pivot_table(index=["case_id", "seed"], columns="row", values="prediction", aggfunc="first", sort=False)
    order = [row for row in titles if row in wide.columns]
    left = [titles[row] for row in titles if row not in wide.columns]
    if left:
        notes.append(f"Left out, no seed with all of its folds: {', '.join(left)}.")
    if not order:
        msg = f"{name or 'predictions'}: no row with complete predictions. Finish the runs first."
        raise MedmdError(msg)
    table = wide[order].reset_index().merge(cases, on="case_id", how="left")
    table = table.sort_values(["seed", "case_id"], kind="stable", ignore_index=True)
    kept_titles, kept_labels = {row: titles[row] for row in order}, {row: labels[row] for row in order}
    return Rows(name, table[[*KEYS, *order]].rename_axis(columns=None), kept_titles, kept_labels, notes)


def _agreed(long: pd.DataFrame) -> pd.DataFrame:
    """Patient, fold and target of each case, about which all tables have to agree."""
    cases = long[["case_id", "patient_id", "fold", "target"]].drop_duplicates()
    doubled = cases.loc[cases["case_id"].duplicated(), "case_id"]
    if len(doubled):
        first = doubled.iloc[0]
        differing = [name for name in ("patient_id", "fold", "target") if _several(cases, first, name)]
        msg = (
            f"case {first!r}: the tables disagree about its {' and '.join(differing)}. Expected predictions of the "
            "same cases of one data set; check that all runs used the same datalist."
        )
        raise MedmdError(msg)
    return cases


def _several(cases: pd.DataFrame, case: str, name: str) -> bool:
    return bool(cases.loc[cases["case_id"] == case, name].nunique(dropna=False) > 1)


def _complete_seeds(long: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without the seeds of a row that lack a fold: pooled, they would stand for other cases than the others."""
    folds = long["fold"].nunique()
    found = long.groupby(["row", "seed"], sort=False)["fold"].transform("nunique")
    lacking = long.loc[found < folds, ["row", "seed"]].drop_duplicates()
    for row, seeds in lacking.groupby("row", sort=False)["seed"]:
        notes.append(f"{row}: seed {', '.join(map(str, seeds))} left out, not all {folds} folds are there.")
    return long[found == folds]


def _repeat_peers(long: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    seeds = pd.DataFrame({"seed": sorted(long["seed"].unique())})
    alone = long.groupby("row")["seed"].nunique() == 1
    fixed = [row for row in alone.index[alone] if labels.get(row) in ("peer", "reference")]
    chosen = long["row"].isin(fixed)
    repeated = long[chosen].drop(columns="seed").merge(seeds, how="cross")
    return pd.concat([long[~chosen], repeated], ignore_index=True) if len(seeds) > 1 and fixed else long


def _common_cases(long: pd.DataFrame, notes: list[str]) -> set[str]:
    """The cases that every row predicts with each of its seeds."""
    sets = [set(part["case_id"]) for _, part in long.groupby(["row", "seed"], sort=False)]
    common, everything = set.intersection(*sets) if sets else set(), set(long["case_id"])
    if sets and not common:
        msg = "the tables have no case in common. Expected predictions of one data set and split."
        raise MedmdError(msg)
    if len(common) < len(everything):
        notes.append(
            f"{len(common)} of {len(everything)} cases are predicted by every row; the other "
            f"{len(everything) - len(common)} are left out."
        )
    return common


def _columns_of(table: pd.DataFrame, wanted: Sequence[str] | None, *, single: bool, where: str) -> list[str]:
    found = [*predictor_columns(table), *reference_columns(table)]
    if wanted is None:
        wanted = found if single else ["fusion"]
    missing = [name for name in wanted if name not in found]
    if missing:
        msg = f"{where}: no column {', '.join(missing)}. Found: {', '.join(found)}. Choose with --column."
        raise MedmdError(msg)
    return [name for name in wanted if not np.isnan(table[name]).all()]


def _row_name(name: str, column: str, *, single: bool) -> str:
    if single:
        return column
    return name if column == "fusion" else f"{name}: {column}"


def _title(row: str, column: str, *, single: bool, method: str | None) -> str:
    return predictor_label(column, method=method) if single else row
