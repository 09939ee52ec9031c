"""A row of a benchmark's tables: which column of whose predictions, or how several become one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medmd.metrics import blend, blend_weights, is_probability

WEIGHTS = ("equal", "validation")
_UNLABELLED = "default"


@dataclass(frozen=True)
class Row:
    """A row of the tables: a column of a method's predictions, or the weighted mean of several.

    Attributes:
        name: of the row; with a `*`, one row a column that fits, `*` standing for the same text in both.
        method: whose runs.
        column: of their table of predictions, such as `fusion`, `pretrain_oct`, `late_average` or `pretrain_*`.
        label: `core`, `default`, `published`, `peer` or `reference`.
        title: for readers; with a `*`, that of one row a column.
        datasets: on which data sets there is such a row, or None for all.
        blend: columns whose mean is the prediction, in the place of `column`; a `*` takes all that fit.
        weights: of that mean: `equal`, or least squared error on the `validation` cases of the same run.
        shrinkage: how far weights from validation are drawn to equal ones.
        ensemble: predict the mean over all seeds of a fold, which then stands under every seed.
    """

    name: str
    method: str
    column: str = "fusion"
    label: str = "default"
    title: str = ""
    datasets: tuple[str, ...] | None = None
    blend: tuple[str, ...] = ()
    weights: str = "equal"
    shrinkage: float = 0.0
    ensemble: bool = False

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return self.blend or (self.column,)

    def columns(self, found: list[str]) -> dict[str, str]:
        """Name of a row -> column, for the columns of a table."""
        fits = _fitting(self.column, found)
        return {self.name.replace("*", text): column for column, text in fits.items()}

    def title_of(self, name: str) -> str:
        """The title of one of its rows: the text of the `*` in the place of the title's, or after it.

        Args:
            name: of the row, from `names`.
        """
        if "*" not in self.name:
            return self.title or name
        text = _fitting(self.name, [name]).get(name)
        if text is None or not self.title:
            return name
        return self.title.replace("*", text) if "*" in self.title else f"{self.title}: {text}"

    def names(self, found: list[str]) -> list[str]:
        """The rows that it makes of the columns of a table."""
        if not self.blend:
            return list(self.columns(found))
        return [self.name] if all(_fitting(pattern, found) for pattern in self.blend) else []

    def predictions(self, table: pd.DataFrame) -> dict[str, pd.Series]:
        """Name of a row -> its prediction of each case of a run's table, all splits."""
        found = list(table.columns)
        if not self.blend:
            return {name: table[column] for name, column in self.columns(found).items()}
        by_pattern = [_fitting(pattern, found) for pattern in self.blend]
        if not all(by_pattern):
            return {}
        columns = list(dict.fromkeys(column for fits in by_pattern for column in fits))
        mixed = blend(table[columns].to_numpy(), self._weights(table, columns))
        return {self.name: pd.Series(mixed, index=table.index)}

    def _weights(self, table: pd.DataFrame, columns: list[str]) -> Any:
        equal = [1 / len(columns)] * len(columns)
        known = table[(table["split"] == "validation") & table[["target", *columns]].notna().all(axis=1)]
        if self.weights == "equal" or known.empty:
            return equal
        return blend_weights(known["target"].to_numpy(), known[columns].to_numpy(), shrinkage=self.shrinkage)


def ensemble(long: pd.DataFrame) -> pd.DataFrame:
    """The mean prediction of each case over the seeds, in the place of each seed's own.

    It stands under every seed, so that it can be compared with rows that differ between seeds. A case that some seeds
    do not predict is the mean of those that do.

    Args:
        long: predictions of one row in long form.
    """
    return long.assign(prediction=long.groupby(["fold", "case_id"], sort=False)["prediction"].transform("mean"))


def rows_of(plan: Mapping[str, Any]) -> list[Row]:
    """The rows of a resolved plan, in its order: a method that is run is one too.

    A row of another method's runs has the label of that method, unless it has one of its own: its settings are theirs.
    """
    labels = {method["name"]: method.get("label") or _UNLABELLED for method in plan["methods"]}
    return [
        Row(
            name=method["name"],
            method=method.get("of") or method["name"],
            column=method.get("column") or "fusion",
            label=_label(method, labels),
            title=method.get("title") or "",
            datasets=None if method.get("datasets") is None else tuple(method["datasets"]),
            blend=tuple(method.get("blend") or ()),
            weights=method.get("weights") or "equal",
            shrinkage=float(method.get("shrinkage") or 0.0),
            ensemble=bool(method.get("ensemble")),
        )
        for method in plan["methods"]
    ]


def _label(method: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    own = labels[method["name"]]
    return labels.get(method["of"], own) if own == _UNLABELLED and method.get("of") else own


def _fitting(pattern: str, found: list[str]) -> dict[str, str]:
    """Column -> what stands for the `*` of a pattern, for the columns that fit."""
    if "*" not in pattern:
        return {pattern: ""} if pattern in found else {}
    fits = re.compile(re.escape(pattern).replace(r"\*", "(.+)"))
    return {c: match.group(1) for c in found if not is_probability(c, found) and (match := fits.fullmatch(c))}
