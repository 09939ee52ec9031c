"""What the columns of a table of predictions are called in front of a reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_MODALITIES = {"oct": "OCT", "fundus": "fundus"}
_WHOLE = {
    "late_average": "late average",
    "reference_constant": "constant (training mean)",
    "reference_information": "ceiling: information",
    "reference_label_noise": "ceiling: label noise",
}
_RANKS = ("pretrain_", "unimodal_", "late_average", "", "fusion", "reference_constant", "reference_information")


def predictor_label(column: str, labels: Mapping[str, str] | None = None, *, method: str | None = None) -> str:
    """The name of a predictor for tables and figures.

    Args:
        column: name of the column, as "pretrain_oct" or "reference_information".
        labels: names that win over the defaults.
        method: name of the method that made the fused prediction, as "Re-M3Dr".

    Example:
        >>> predictor_label("pretrain_oct"), predictor_label("fusion", method="Re-M3Dr")
        ('OCT alone (stage 1)', 'fusion (Re-M3Dr)')
    """
    if labels and column in labels:
        return labels[column]
    if column == "fusion":
        return f"fusion ({method})" if method else "fusion"
    if column in _WHOLE:
        return _WHOLE[column]
    for prefix, form in (
        ("pretrain_", "{} alone (stage 1)"),
        ("unimodal_", "{} head (stage 2)"),
        ("reference_information_", "ceiling: information, {} alone"),
        ("reference_", "reference: {}"),
    ):
        if column.startswith(prefix):
            rest = column.removeprefix(prefix)
            return form.format(_MODALITIES.get(rest, rest.replace("_", " ")))
    return column


def ordered(columns: Sequence[str]) -> list[str]:
    """Columns in the order of the argument: single modalities, averages, fusion, constant, ceilings; else as given."""
    return sorted(columns, key=_rank)


def _rank(column: str) -> int:
    if column == "fusion":
        return _RANKS.index("fusion")
    for rank, prefix in enumerate(_RANKS):
        if prefix and prefix != "fusion" and column.startswith(prefix):
            return rank
    return len(_RANKS) if column.startswith("reference_") else _RANKS.index("")
