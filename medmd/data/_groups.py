"""Which cases must stay together, and how severe each such group is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medmd.data._records import Case, TargetSpec, TargetValue

MD_EDGES = (-12.0, -6.0)
_QUANTILES = (1 / 3, 2 / 3)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cases that share a patient or identical content, directly or through others.

    Args:
        cases: sorted by `case_id`.
        worst: the lowest known target (of a list, the mean of what is known) of the group; None when all are unknown.
    """

    cases: tuple[Case, ...]
    worst: float | None

    @property
    def name(self) -> str:
        """The smallest case id: it names the group whatever the order of the cases was."""
        return self.cases[0].case_id


def group_cases(cases: Iterable[Case], contents: Mapping[str, Iterable[str]] | None = None) -> list[Group]:
    """Join cases of one patient and cases with identical content (union-find), sorted by name.

    Args:
        cases: with unique `case_id`.
        contents: case id -> digests of its inputs; by default the hashes in the cases.
    """
    ordered = sorted(cases, key=lambda case: case.case_id)
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for case in ordered:
        digests = case.hashes.values() if contents is None else contents.get(case.case_id, ())
        for digest in digests:
            parent[root(("content", digest))] = root(("patient", case.patient_id))
    members: dict[tuple[str, str], list[Case]] = {}
    for case in ordered:
        members.setdefault(root(("patient", case.patient_id)), []).append(case)
    return [Group(cases=tuple(group), worst=_worst(group)) for group in members.values()]


def severity_edges(groups: Sequence[Group], target: TargetSpec) -> tuple[float, ...]:
    """Bounds between the strata: -12 and -6 dB for MD (severe, moderate, mild), a class each, else the tertiles."""
    if target.name.lower() == "md" and target.unit == "dB":
        return MD_EDGES
    if target.kind == "class":
        return tuple(index + 0.5 for index in range(len(target.class_names) - 1))
    known = [group.worst for group in groups if group.worst is not None]
    return tuple(float(edge) for edge in np.unique(np.quantile(known, _QUANTILES))) if known else ()


def stratum(group: Group, edges: Sequence[float]) -> int:
    """Number of the group's stratum, 0 for the most severe; the last one is for unknown targets."""
    return len(edges) + 1 if group.worst is None else int(np.digitize(group.worst, edges))


def _worst(cases: Sequence[Case]) -> float | None:
    known = [float(np.mean(values)) for case in cases if (values := known_values(case.target))]
    return min(known) if known else None


def known_values(target: TargetValue) -> list[float]:
    """The numbers of a target that are known, whatever its kind."""
    values = target if isinstance(target, Sequence) else [target]
    return [float(value) for value in values if value is not None]
