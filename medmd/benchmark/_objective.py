"""What a trial of a search is judged by: the losses of its validation cases."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medmd.benchmark._rows import Row
from medmd.metrics import probability_columns
from medmd.utils import MedmdError

_SMALLEST = 1e-12


def mean_loss(table: pd.DataFrame) -> float:
    """What a trial is judged by: the mean over the columns of `losses`.

    NaN when a column predicts nothing at all: it is no better than one that is wrong.
    """
    return float(table.mean().mean(skipna=False))


def losses(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The squared error, or of classes the negative logarithm of the true one's share, of each validation case.

    Returns:
        One row a case with its patient as index, one column a column that fits; NaN where nothing is predicted.

    Raises:
        MedmdError: the table has no such column.
    """
    table = table[table["split"] == "validation"]
    names = list(Row(name=column, method="", column=column).columns(list(table.columns)).values())
    if not names:
        msg = f"column: the table of predictions has no {column!r}, it has {', '.join(table.columns[5:])}."
        raise MedmdError(msg)
    return pd.DataFrame({name: _losses(table, name) for name in names}).set_index(table["patient_id"].to_numpy())


def _losses(table: pd.DataFrame, name: str) -> pd.Series:
    shares = probability_columns(table, name)
    if not shares:
        return (table[name] - table["target"]) ** 2
    known = table[table["target"].notna() & table[name].notna()]
    own = known[shares].to_numpy()[np.arange(len(known)), known["target"].astype(int)]
    return pd.Series(-np.log(np.clip(own, _SMALLEST, 1.0)), index=known.index).reindex(table.index)


def by_patient(tables: list[pd.DataFrame]) -> np.ndarray:
    """The evidence of a trial by patient, whom it does not name.

    Args:
        tables: of `losses`, one a seed; a case's loss is the mean over those seeds (and columns) that predict it.

    Returns:
        (patients, 2) sum of the cases' losses and number of cases, in the patients' order.
    """
    each = pd.concat([table.reset_index(drop=True) for table in tables], axis=1).mean(axis=1)
    each.index = tables[0].index
    return each.dropna().groupby(level=0).agg(["sum", "count"]).to_numpy()
