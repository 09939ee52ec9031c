"""A comparison for a reader: cells of its tables, and the sentences that belong below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medmd.comparison._compare import ERRORS, LEVEL, Comparison

NAMES = {"mse": "MSE", "rmse": "RMSE", "mae": "MAE", "r2": "R2", "error_rate": "error rate"}
CORRECTIONS = {"holm": "Holm", "bh": "Benjamini-Hochberg", "none": "uncorrected"}
_SQUARED = ("mse",)
_PLAIN = ("rmse", "mae")
_DIGITS = 3


def comparison_table(comparison: Comparison, *, bold: bool = True) -> tuple[list[str], list[list[str]]]:
    """Header and rows: each row's metrics, and its difference to the baseline with interval and p-values.

    Args:
        comparison: from `compare_rows`.
        bold: mark the name and the statistic of `best` in Markdown.
    """
    statistic = comparison["statistic"]
    others = [name for name in ERRORS if name != statistic and statistic != "error_rate"]
    several = comparison["seeds"] > 1
    level = f"[{100 * comparison['level']:g} %]"
    unit = comparison["target"]["unit"]
    header = ["", f"{named(statistic, unit)} {level}", *(named(name, unit) for name in others)]
    header += ["SD over seeds"] if several else []
    header += ["difference", "p bootstrap", "p permutation", f"p {CORRECTIONS[comparison['correction']]}"]
    return header, [_row(comparison, row, others, several=several, bold=bold) for row in comparison["rows"]]


def named(statistic: str, unit: str) -> str:
    """A statistic with its unit, such as `MSE, dB²`.

    Args:
        statistic: such as `mse`.
        unit: of the target; empty where it has none.
    """
    own = unit_of(statistic, unit)
    return f"{NAMES[statistic]}, {own}" if own else NAMES[statistic]


def unit_of(statistic: str, unit: str) -> str:
    """The unit of a statistic for a target in `unit`: squared for squared errors, empty for shares."""
    if not unit or statistic not in (*_SQUARED, *_PLAIN):
        return ""
    return f"{unit}²" if statistic in _SQUARED else unit


def pair_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Header and rows of all pairs, smallest p-value first."""
    titles = {row["name"]: row["title"] for row in comparison["rows"]}
    pairs = sorted(comparison["pairs"], key=lambda pair: (pair["p_permutation"] is None, pair["p_permutation"] or 0))
    header = [
        "first",
        "second",
        f"difference of {named(comparison['statistic'], comparison['target']['unit'])}",
        "p permutation",
    ]
    header += [f"p {CORRECTIONS[comparison['correction']]}"]
    cells = [
        [
            titles[pair["first"]],
            titles[pair["second"]],
            plain(pair["estimate"], signed=True),
            p_text(pair["p_permutation"]),
            p_text(pair["p_corrected"]),
        ]
        for pair in pairs
    ]
    return header, cells


def explain(comparison: Comparison) -> list[str]:
    """What the table rests on, and what its bold number means or why there is none."""
    titles = {row["name"]: row["title"] for row in comparison["rows"]}
    statistic, correction = NAMES[comparison["statistic"]], CORRECTIONS[comparison["correction"]]
    size = f"{comparison['cases']} cases of {comparison['patients']} patients"
    drawn = "patients"
    if comparison["seeds"] > 1:
        size += f", {comparison['seeds']} training seeds"
        drawn += " and, crossed with them, seeds"
    patterns = "all" if comparison["exact"] else f"{comparison['permutations']:,}"
    sentences = [
        f"{size}; the target's variance is {plain(comparison['target']['variance'])}.",
        f"Difference: row minus {titles[comparison['baseline']]}, paired. Intervals and bootstrap p draw {drawn} "
        f"({comparison['replicates']:,} replicates); permutation p exchanges the two predictors in whole {drawn} "
        f"({patterns} patterns).",
        *_about_seeds(comparison, titles[comparison["baseline"]]),
        *_about_correction(comparison, correction, statistic, titles),
        *_about_identity(comparison),
    ]
    return sentences + list(comparison["notes"])


def _about_seeds(comparison: Comparison, baseline: str) -> list[str]:
    """Why a difference is not that of the column before it."""
    fewer = [row["seeds"] for row in comparison["rows"] if row["seeds"] < comparison["seeds"] and row["difference"]]
    if not fewer:
        return []
    told = (
        f"Rows with fewer seeds are compared on the seeds that they share with {baseline}: their difference is not "
        "that of the column of means"
    )
    return [f"{told}; with one seed, patients alone are drawn." if 1 in fewer else f"{told}."]


def _about_correction(comparison: Comparison, correction: str, statistic: str, titles: dict[str, str]) -> list[str]:
    if comparison["correction"] == "none":
        return ["P-values are not corrected for their number, hence no row is set bold."]
    pairs, best = len(comparison["pairs"]), comparison["best"]
    rule = f"p-value against every other row, corrected over all {pairs} pairs ({correction}), is below {LEVEL:g}"
    if best is not None:
        return [f"Bold: {titles[best]}, the best {statistic}; its {rule}."]
    return [f"No row is bold: of none it holds that it has the best {statistic} and its {rule}."]


def _about_identity(comparison: Comparison) -> list[str]:
    implied = [row["implied_variance"] for row in comparison["rows"] if row["implied_variance"] is not None]
    if not implied:
        return []
    return [f"MSE / (1 - R2) is the variance of the target in each of {len(implied)} rows (checked)."]


def _row(comparison: Comparison, row: dict[str, Any], others: Sequence[str], *, several: bool, bold: bool) -> list[str]:
    metrics, difference = row["metrics"], row["difference"] or {}
    name, main = title_of(comparison, row), with_ends(metrics[comparison["statistic"]])
    if bold and row["name"] == comparison["best"]:
        name, main = f"**{name}**", f"**{main}**"
    cells = [name, main, *(plain(metrics[other]["estimate"]) for other in others)]
    cells += [plain(row["seed_sd"])] if several else []
    cells += [with_ends(difference, signed=True) if difference else "–"]
    return [*cells, *(p_text(difference.get(f"p_{kind}")) for kind in ("bootstrap", "permutation", "corrected"))]


def title_of(comparison: Comparison, row: dict[str, Any]) -> str:
    """The row's name with what sets it apart: fewer seeds than others, settings that were not tuned."""
    # Beside rows whose settings were searched, the others say that theirs were not.
    searched = any(each["label"] == "core" for each in comparison["rows"])
    told = ("published", "peer", "reference", *(("default",) if searched else ()))
    marks = [row["label"]] if row["label"] in told else []
    if row["seeds"] < comparison["seeds"]:
        marks.append(f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}")
    return f"{row['title']} ({', '.join(marks)})" if marks else str(row["title"])


def plain(value: float | None, *, signed: bool = False) -> str:
    """A number for a table."""
    return "–" if value is None else format(value, f"{'+' if signed else ''}.{_DIGITS}f")


def with_ends(entry: dict[str, Any], *, signed: bool = False) -> str:
    """An estimate with its interval."""
    text = plain(entry["estimate"], signed=signed)
    if entry["low"] is None:
        return text
    return f"{text} [{plain(entry['low'], signed=signed)}, {plain(entry['high'], signed=signed)}]"


def p_text(value: float | None) -> str:
    """A p-value for a table."""
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
