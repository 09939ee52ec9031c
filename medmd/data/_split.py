"""Parts of a cohort that share no patient and no content, alike in severity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import overload

from medmd.data._groups import Group, group_cases, severity_edges, stratum
from medmd.data._records import SPLITS, Case, TargetSpec
from medmd.utils import MedmdError, derive_seed

DEFAULT_FRACTIONS = {"training": 0.7, "validation": 0.15, "testing": 0.15}

Parts = dict[str, list[Case]]


@overload
def split_by_patient(
    cases: Iterable[Case],
    *,
    seed: int,
    fractions: Mapping[str, float] | None = ...,
    folds: None = ...,
    target: TargetSpec | None = ...,
    edges: Sequence[float] | None = ...,
    contents: Mapping[str, Iterable[str]] | None = ...,
) -> Parts: ...


@overload
def split_by_patient(
    cases: Iterable[Case],
    *,
    seed: int,
    fractions: None = ...,
    folds: int,
    target: TargetSpec | None = ...,
    edges: Sequence[float] | None = ...,
    contents: Mapping[str, Iterable[str]] | None = ...,
) -> list[Parts]: ...


def split_by_patient(
    cases: Iterable[Case],
    *,
    seed: int,
    fractions: Mapping[str, float] | None = None,
    folds: int | None = None,
    target: TargetSpec | None = None,
    edges: Sequence[float] | None = None,
    contents: Mapping[str, Iterable[str]] | None = None,
) -> Parts | list[Parts]:
    """Split by patient, stratified by the severity of the patient's worst eye.

    All cases of a patient, and all cases that share identical content, go to one part. The result depends on the seed
    and the cases, not on their order. Within a stratum, groups are dealt, larger ones first, to the part that lacks
    the largest share of its own cases, so that patients with many cases stand in every part as often as its share says.
    Fractions carry what a part got too much or too little of a stratum to the next; folds do not.

    Args:
        cases: with unique `case_id`.
        seed: chooses among the equally good splits.
        fractions: part -> share of the cases, summing to 1; by default 70 % training, 15 % validation, 15 % testing.
        folds: k folds instead of fractions. Fold i tests on part i and validates on part i + 1; with two folds there is
            no testing list.
        target: the header's target; by default MD in dB. It decides the strata: severe (MD below -12 dB), moderate
            (-12 to below -6 dB) and mild for MD, the classes (a patient's lowest) for a class, tertiles otherwise, of
            several tasks those of their mean. Cases without target form a stratum.
        edges: other bounds between the strata, ascending, in the target's unit.
        contents: case id -> digests of its inputs; by default the cases' `hashes`.

    Returns:
        Part -> cases sorted by `case_id`; for folds a list of such dictionaries.

    Raises:
        MedmdError: a case id twice, or fewer groups of patients than parts.
        ValueError: fractions that do not sum to 1, fewer than two folds, both asked for, or edges out of order.
    """
    parts = _asked_parts(fractions, folds)
    groups = group_cases(_unique(cases), contents)
    if len(groups) < len(parts):
        msg = (
            f"The split: expected at least {len(parts)} groups of patients, one for each part, got {len(groups)}. "
            "Ask for fewer parts; patients that share identical content count as one."
        )
        raise MedmdError(msg)
    bounds = severity_edges(groups, target or TargetSpec()) if edges is None else tuple(edges)
    if list(bounds) != sorted(set(bounds)):
        msg = f"edges: expected ascending numbers, got {bounds}."
        raise ValueError(msg)
    dealt = _deal(groups, parts, bounds, seed, carry=folds is None)
    if folds is None:
        return {name: _cases(dealt[name]) for name in parts}
    return [_fold([dealt[name] for name in parts], number) for number in range(folds)]


def _asked_parts(fractions: Mapping[str, float] | None, folds: int | None) -> dict[str, float]:
    if folds is None:
        return _checked(DEFAULT_FRACTIONS if fractions is None else fractions)
    if fractions is not None:
        msg = "expected fractions or folds, got both."
        raise ValueError(msg)
    if folds < 2:
        msg = f"folds: expected 2 or more, got {folds}."
        raise ValueError(msg)
    return {f"fold {number}": 1 / folds for number in range(folds)}


def _checked(fractions: Mapping[str, float]) -> dict[str, float]:
    unknown = set(fractions) - set(SPLITS)
    if unknown or min(fractions.values(), default=0) <= 0 or not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        msg = f"fractions: expected shares above 0 of {', '.join(SPLITS)} that sum to 1, got {dict(fractions)}."
        raise ValueError(msg)
    return {name: fractions[name] for name in SPLITS if name in fractions}


def _unique(cases: Iterable[Case]) -> list[Case]:
    found: dict[str, Case] = {}
    for case in cases:
        if case.case_id in found:
            msg = f"Case {case.case_id}: expected every case id once, got it twice. Give each case its own id."
            raise MedmdError(msg)
        found[case.case_id] = case
    return list(found.values())


def _deal(
    groups: Sequence[Group], parts: Mapping[str, float], edges: Sequence[float], seed: int, *, carry: bool
) -> dict[str, list[Group]]:
    """Part -> groups; with `carry` what a part got too much or too little of a stratum is made good in the next."""
    strata: dict[int, list[Group]] = {}
    for group in groups:
        strata.setdefault(stratum(group, edges), []).append(group)
    dealt: dict[str, list[Group]] = {name: [] for name in parts}
    lacking = {name: share * _size(groups) for name, share in parts.items()}
    here = dict.fromkeys(parts, 0.0)
    for number in sorted(strata):
        here = {name: share * _size(strata[number]) + carry * here[name] for name, share in parts.items()}
        for group in sorted(strata[number], key=lambda group: _turn(group, seed)):
            part = _neediest(parts, here, lacking, size=len(group.cases))
            dealt[part].append(group)
            here[part] -= len(group.cases)
            lacking[part] -= len(group.cases)
    _fill_empty(dealt, parts)
    return dealt


def _neediest(parts: Mapping[str, float], here: Mapping[str, float], lacking: Mapping[str, float], *, size: int) -> str:
    """The part that a group of `size` cases goes to: its lack in proportion to its share is largest.

    In absolute numbers the largest part would lack most until all large groups are gone. The lack is taken with half of
    the group already there (Webster's method of sharing out seats): without it small parts would be overfilled, as each
    is first served before the largest has its due.
    """

    def lack(of: Mapping[str, float], name: str) -> float:
        return round((of[name] - size / 2) / parts[name], 6)

    # The stratum decides; the whole decides where the stratum is indifferent.
    return max(parts, key=lambda name: (lack(here, name), lack(lacking, name)))


def _turn(group: Group, seed: int) -> tuple[int, int, str]:
    return -len(group.cases), derive_seed(seed, "split", group.name), group.name


def _fill_empty(dealt: dict[str, list[Group]], parts: Mapping[str, float]) -> None:
    """Give every part at least one group; the part that can best spare its smallest one gives."""
    for name in parts:
        if not dealt[name]:
            donor = max((part for part in parts if len(dealt[part]) > 1), key=lambda part: _size(dealt[part]))
            smallest = min(dealt[donor], key=lambda group: (len(group.cases), group.name))
            dealt[donor].remove(smallest)
            dealt[name].append(smallest)


def _fold(parts: Sequence[Sequence[Group]], number: int) -> Parts:
    validation = (number + 1) % len(parts)
    testing = number if len(parts) > 2 else None
    rest = [group for part, groups in enumerate(parts) if part not in (validation, testing) for group in groups]
    fold = {"training": _cases(rest), "validation": _cases(parts[validation])}
    return fold if testing is None else {**fold, "testing": _cases(parts[testing])}


def _size(groups: Iterable[Group]) -> int:
    return sum(len(group.cases) for group in groups)


def _cases(groups: Iterable[Group]) -> list[Case]:
    return sorted((case for group in groups for case in group.cases), key=lambda case: case.case_id)
