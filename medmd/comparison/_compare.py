"""Every number of a comparison: intervals, differences to a baseline, tests and what may be called best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medmd.comparison._sources import Rows
from medmd.metrics import (
    COMPARED,
    Correction,
    clustered_bootstrap,
    correct_p_values,
    paired_difference,
    permutation_test,
)
from medmd.utils import MedmdError, derive_seed

Comparison: TypeAlias = dict[str, Any]

ERRORS = ("mse", "rmse", "mae", "r2")
HIGHER_IS_BETTER = ("r2",)
LEVEL = 0.05
_OF_INDICES = "Targets are classes: these are errors of their indices; error_rate is the share of wrong ones."
# Patterns for each pair that is corrected for: the smallest p-value, times the pairs, stays well below the level.
_PATTERNS_A_PAIR = 100


def compare_rows(
    rows: Rows,
    *,
    baseline: str | None = None,
    statistic: str = "mse",
    correction: Correction = "holm",
    seed: int = 0,
    replicates: int = 2000,
    permutations: int = 9999,
    level: float = 0.95,
    all_pairs: bool = True,
) -> Comparison:
    """Compare rows on one data set.

    Intervals draw patients and, where rows have several training seeds, seeds crossed with them. Differences are
    paired: two rows are compared on the cases and seeds that both have. Every pair of ranked rows is tested by
    permutation (`permutation_test`); the p-values to the baseline are corrected for their number, and those of all
    pairs for theirs. A row is `best` only when its corrected p-value against every other ranked row is below 0.05.

    Args:
        rows: what to compare.
        baseline: row that the others are compared with; None for the first ranked one.
        statistic: mse, rmse, mae, r2 or error_rate (classes): what the tests are about.
        correction: "holm", "bh" or "none"; with "none" no row is called best.
        seed: of resamples and permutations.
        replicates: of the bootstrap.
        permutations: at least so many; more where many pairs are corrected for.
        level: coverage of the intervals.
        all_pairs: test every pair; False tests each row with the baseline alone, and none is called best.

    Returns:
        A dict that JSON can hold: `dataset, statistic, baseline, correction, best, cases, patients, seeds, target,
        level, replicates, permutations, exact, rows, pairs, notes`. What is undefined is None.

    Raises:
        MedmdError: an unknown row or statistic, or MSE / (1 - R2) is not the variance of the target.
    """
    ranked = rows.ranked
    baseline = _checked(rows, baseline, statistic)
    at = derive_seed(seed, "comparison", rows.name)
    options: dict[str, Any] = {"seed": at, "replicates": replicates, "level": level}
    entries = _measured(rows, statistic, options)
    for name, difference in _differences(rows, baseline, statistic, options).items():
        entries[name]["difference"] = difference
    tried = _pairs(rows, None if all_pairs else baseline)
    if all_pairs and correction != "none":
        permutations = max(permutations, _PATTERNS_A_PAIR * len(ranked) ** 2 // 2)
    pairs = _tested(rows, tried, statistic, correction, at, permutations)
    _add_permutations(entries, pairs["tests"], baseline, correction, ranked)
    best = _best(entries, pairs["list"], ranked, statistic) if all_pairs and correction != "none" else None
    target = rows.table.drop_duplicates("case_id")["target"].to_numpy(np.float64)
    return {
        "dataset": rows.name,
        "statistic": statistic,
        "baseline": baseline,
        "correction": correction,
        "best": best,
        "cases": len(target),
        "patients": int(rows.table["patient_id"].nunique()),
        "seeds": int(rows.table["seed"].nunique()),
        "target": {"mean": float(target.mean()), "variance": float(target.var()), "unit": rows.unit},
        "level": level,
        "replicates": replicates,
        "permutations": pairs["permutations"],
        "exact": pairs["exact"],
        "rows": list(entries.values()),
        "pairs": pairs["list"],
        "notes": [*rows.notes, *([_OF_INDICES] if rows.classes and statistic != "error_rate" else [])],
    }


def implied_variance(mse: float, r2: float) -> float:
    """The variance of the target that MSE and R2 of one vector of predictions imply: MSE / (1 - R2)."""
    return mse / (1.0 - r2) if r2 < 1.0 else float("nan")


def _checked(rows: Rows, baseline: str | None, statistic: str) -> str:
    if statistic not in COMPARED:
        msg = f"statistic: expected one of {', '.join(COMPARED)}, got {statistic!r}."
        raise MedmdError(msg)
    if statistic == "error_rate" and not rows.classes and (rows.table["target"] % 1 != 0).any():
        msg = (
            f"{rows.name or 'predictions'}: error_rate is for classes, and the targets are numbers. Choose mse or mae."
        )
        raise MedmdError(msg)
    if len(rows.ranked) < 1:
        msg = "nothing to compare: only references are there, which are not ranked."
        raise MedmdError(msg)
    baseline = rows.ranked[0] if baseline is None else baseline
    if baseline not in rows.names:
        msg = f"baseline: expected one of the rows {', '.join(rows.names)}, got {baseline!r}."
        raise MedmdError(msg)
    if baseline in rows.means:
        msg = f"baseline: {baseline!r} is a mean over seeds, with which nothing is tested. Choose another row."
        raise MedmdError(msg)
    return baseline


def _measured(rows: Rows, statistic: str, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for names, part in _same_cells(rows, [(name,) for name in rows.names]):
        wanted = [name for (name,) in names]
        target, columns, statistics = _as_regression(part, wanted, statistic)
        intervals = clustered_bootstrap(
            target, columns, part["patient_id"].to_numpy(), groups=_groups(part), statistics=statistics, **options
        )
        for name in wanted:
            metrics = {key: _ends(value) for key, value in intervals[name].items()}
            found[name] = {
                "name": name,
                "title": rows.titles[name],
                "label": rows.labels.get(name, "default"),
                "cases": int(part["case_id"].nunique()),
                "seeds": int(part["seed"].nunique()),
                "metrics": {"error_rate": metrics["mae"]} if statistic == "error_rate" else metrics,
                "seed_sd": None if name in rows.means else _seed_spread(part, name, statistic),
                "implied_variance": _identity(part, name, metrics) if statistic != "error_rate" else None,
                "difference": None,
            }
    return {name: found[name] for name in rows.names}


def _differences(rows: Rows, baseline: str, statistic: str, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    others = [(name, baseline) for name in rows.names if name != baseline and name not in rows.means]
    found = {}
    for pairs, part in _same_cells(rows, others):
        wanted = [*(name for name, _ in pairs), baseline]
        target, columns, _ = _as_regression(part, wanted, statistic)
        kind = "mae" if statistic == "error_rate" else statistic
        differences = paired_difference(
            target,
            columns,
            part["patient_id"].to_numpy(),
            baseline=baseline,
            groups=_groups(part),
            statistics=(kind,),
            **options,
        )
        for name, by in differences.items():
            ends = _ends(by[kind])
            found[name] = {**ends, "p_bootstrap": _number(by[kind].p_value), "seeds": int(part["seed"].nunique())}
    return {name: found[name] for name, _ in others if name in found}


def _pairs(rows: Rows, baseline: str | None) -> list[tuple[str, str]]:
    """All pairs of rows that are tested, references among them; with a baseline those alone that it is part of."""
    names = [name for name in rows.names if name not in rows.means]
    return [pair for pair in combinations(names, 2) if baseline is None or baseline in pair]


def _tested(
    rows: Rows,
    names: Sequence[tuple[str, str]],
    statistic: str,
    correction: Correction,
    seed: int,
    permutations: int,
) -> dict[str, Any]:
    """The tests of pairs; the p-values of ranked ones are corrected for their number."""
    tests = {}
    for pairs, part in _same_cells(rows, names):
        wanted = list(dict.fromkeys(name for pair in pairs for name in pair))
        tests.update(
            permutation_test(
                part["target"].to_numpy(np.float64),
                {name: part[name].to_numpy(np.float64) for name in wanted},
                part["patient_id"].to_numpy(),
                seed=seed,
                pairs=[(first, second) for first, second in pairs],
                statistic=statistic,
                permutations=permutations,
                groups=_groups(part),
            )
        )
    ranked = [pair for pair in names if set(pair) <= set(rows.ranked) and pair in tests]
    corrected = correct_p_values([tests[pair].p_value for pair in ranked], correction)
    found = [
        {
            "first": first,
            "second": second,
            "estimate": _number(tests[first, second].estimate),
            "p_permutation": _number(tests[first, second].p_value),
            "p_corrected": _number(value),
        }
        for (first, second), value in zip(ranked, corrected, strict=True)
    ]
    tried = [test.permutations for test in tests.values()]
    return {
        "tests": tests,
        "list": found,
        "permutations": min(tried, default=0),
        "exact": all(test.exact for test in tests.values()),
    }


def _add_permutations(
    entries: dict[str, dict[str, Any]],
    tests: dict[Any, Any],
    baseline: str,
    correction: Correction,
    ranked: Sequence[str],
) -> None:
    others = [name for name in entries if name != baseline and entries[name]["difference"]]
    p_values = {name: (tests.get((name, baseline)) or tests[baseline, name]).p_value for name in others}
    family = [name for name in others if name in ranked]
    corrected = dict(zip(family, correct_p_values([p_values[name] for name in family], correction), strict=True))
    for name in others:
        entries[name]["difference"] |= {
            "p_permutation": _number(p_values[name]),
            "p_corrected": _number(corrected.get(name, float("nan"))),
        }


def _best(
    entries: dict[str, dict[str, Any]], pairs: Sequence[dict[str, Any]], ranked: Sequence[str], statistic: str
) -> str | None:
    scores = {name: entries[name]["metrics"][statistic]["estimate"] for name in ranked}
    if len(ranked) < 2 or any(score is None for score in scores.values()):
        return None
    first = (max if statistic in HIGHER_IS_BETTER else min)(ranked, key=lambda name: scores[name])
    own = [pair for pair in pairs if first in (pair["first"], pair["second"])]
    if len(own) < len(ranked) - 1:
        return None
    # On the cells of each pair it has to be ahead as well; rows with fewer seeds have other cells.
    ahead = [_advantage(pair, first, statistic) > 0 for pair in own if pair["p_corrected"] is not None]
    sure = [pair["p_corrected"] is not None and pair["p_corrected"] < LEVEL for pair in own]
    return first if all(sure) and all(ahead) else None


def _advantage(pair: dict[str, Any], name: str, statistic: str) -> float:
    sign = 1.0 if (pair["first"] == name) == (statistic in HIGHER_IS_BETTER) else -1.0
    return sign * float(pair["estimate"] or 0.0)


def _same_cells(rows: Rows, groups: Sequence[tuple[str, ...]]) -> Iterator[tuple[list[tuple[str, ...]], pd.DataFrame]]:
    """Groups of rows that have the same cells, with those cells."""
    by_mask: dict[bytes, tuple[list[tuple[str, ...]], NDArray[np.bool_]]] = {}
    for group in groups:
        mask = rows.table[list(dict.fromkeys(group))].notna().all(axis=1).to_numpy()
        if mask.any():
            by_mask.setdefault(mask.tobytes(), ([], mask))[0].append(group)
    for found, mask in by_mask.values():
        yield found, rows.table[mask]


def _as_regression(
    part: pd.DataFrame, names: Sequence[str], statistic: str
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]], tuple[str, ...]]:
    target = part["target"].to_numpy(np.float64)
    columns = {name: part[name].to_numpy(np.float64) for name in names}
    if statistic != "error_rate":
        return target, columns, ERRORS
    # The share of errors is the mean absolute error of "wrong" against 0.
    return np.zeros(len(target)), {name: (values != target) * 1.0 for name, values in columns.items()}, ("mae",)


def _groups(part: pd.DataFrame) -> NDArray[Any] | None:
    return part["seed"].to_numpy() if part["seed"].nunique() > 1 else None


def _identity(part: pd.DataFrame, name: str, metrics: dict[str, Any]) -> float | None:
    mse, r2 = metrics["mse"]["estimate"], metrics["r2"]["estimate"]
    variance = float(np.var(part["target"]))
    if mse is None or r2 is None or mse == 0.0:
        return None
    # The difference, for with small errors 1 - R2 is a number of few digits.
    if not np.isclose(1.0 - mse / variance, r2, rtol=0.0, atol=1e-9 * max(1.0, mse / variance)):
        msg = f"{name}: R2 is {r2}, expected 1 - MSE / variance of the target = {1.0 - mse / variance}."
        raise MedmdError(msg)
    return implied_variance(mse, r2)


def _seed_spread(part: pd.DataFrame, name: str, statistic: str) -> float | None:
    values = [score(cells["target"], cells[name], statistic) for _, cells in part.groupby("seed")]
    return _number(float(np.std(values, ddof=1))) if len(values) > 1 else None


def score(target: Any, prediction: Any, statistic: str) -> float:
    """One number of one vector of predictions; NaN where undefined."""
    error = np.asarray(prediction, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    if statistic == "error_rate":
        return float(np.mean(error != 0))
    if statistic == "mae":
        return float(np.mean(np.abs(error)))
    mse = float(np.mean(error**2))
    if statistic == "r2":
        variance = float(np.var(np.asarray(target, dtype=np.float64)))
        return 1.0 - mse / variance if variance > 0 else float("nan")
    return float(np.sqrt(mse)) if statistic == "rmse" else mse


def _ends(value: Any) -> dict[str, float | None]:
    return {"estimate": _number(value.estimate), "low": _number(value.low), "high": _number(value.high)}


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return float(value) if np.isfinite(value) else None
