"""Settings of a plan that nothing takes: refused before anything runs, as a training that a user starts does."""

from __future__ import annotations

import difflib
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from medmd.benchmark._overlays import overlay_file
from medmd.benchmark._owned import why_lost
from medmd.benchmark._plan import DatasetPlan, MethodPlan, Plan
from medmd.benchmark._schedule import Start, is_asked, is_missing, planned
from medmd.benchmark._work import Work
from medmd.utils import MedmdError

if TYPE_CHECKING:
    from medmd.workflows.check_config import Finding

# Absent files are better told by what needs them; the others show when the overlays are read.
_LATER = frozenset({"absent-file", "duplicate-key"})
_SHARED = ("dataset", "tuning")


class _Given(NamedTuple):
    """A setting of a run, and where the plan gives it."""

    where: str
    value: Any


def check_settings(plan: Plan, work: Work, start: Start) -> None:
    """Refuse settings that a configuration does not take: one check for each method on each data set with runs to make.

    Nothing is built: it is what `medmd check-config` finds, and what a benchmark sets itself or does not use. A setting
    of a data set, or of the common search space, that some methods use and others do not, is no error.

    Args:
        plan: what is compared.
        work: folder of the runs.
        start: which runs are asked for.

    Raises:
        MedmdError: all that is wrong, one line each, with the nearest name.
    """
    problems = list(_phantoms(plan, start))
    counts, checked, unused = Counter[str](), Counter[str](), dict[str, str]()
    for dataset, method in _lacking(plan, work, start):
        given = _given(plan, dataset, method)
        problems += _owned(given)
        checked.update({each.where for each in given.values()})
        for finding in _errors(dataset, method, given):
            where = _where(finding, given) or f"{dataset.name}, {method.name}"
            text = f"{where}: {finding.sentence if where in checked else finding}"
            if finding.kind == "unused-setting" and where.startswith(_SHARED):
                counts[text] += 1
                unused[text] = where
            else:
                problems.append(text)
    problems += [text for text, where in unused.items() if counts[text] == checked[where]]
    if problems:
        raise MedmdError("\n".join(dict.fromkeys(problems)))


def _lacking(plan: Plan, work: Work, start: Start) -> Iterator[tuple[DatasetPlan, MethodPlan]]:
    """Each data set with each method of a network that has runs to make there."""
    seen = set()
    for dataset, method, key in planned(plan, start):
        if method.peer is None and key[:2] not in seen and is_missing(work, start, key):
            seen.add(key[:2])
            yield dataset, method


def _given(plan: Plan, dataset: DatasetPlan, method: MethodPlan) -> dict[str, _Given]:
    """The settings of a run by name, later ones in the place of earlier ones; of a search one value each."""
    layers: list[tuple[str, Mapping[str, Any]]] = [
        (f"dataset {dataset.name}: overrides", dataset.overrides),
        (f"method {method.name}: overrides", method.overrides),
    ]
    if plan.tuning is not None and plan.is_tuned(dataset, method):
        layers += [
            ("tuning: space", {name: _one_of(each) for name, each in plan.tuning.space.items()}),
            (f"method {method.name}: space", {name: _one_of(each) for name, each in method.space.items()}),
        ]
    return {name: _Given(where, value) for where, settings in layers for name, value in settings.items()}


def _one_of(dimension: Mapping[str, Any]) -> Any:
    return dimension["choices"][0] if "choices" in dimension else dimension["low"]


def _owned(given: Mapping[str, _Given]) -> Iterator[str]:
    for name, each in given.items():
        why = why_lost(name, each.value)
        if why is not None:
            yield f"{each.where}: {name}: {why}"


def _errors(dataset: DatasetPlan, method: MethodPlan, given: Mapping[str, _Given]) -> list[Finding]:
    from medmd.commands.bundle_path import bundle_folder
    from medmd.workflows.check_config import check_config

    overlays = (str(overlay_file(name)) for name in (*dataset.overlays, *method.overlays))
    settings = {name: each.value for name, each in given.items() if why_lost(name, each.value) is None}
    report = check_config([str(bundle_folder() / "train.json"), *overlays], settings)
    return [finding for finding in report.errors if finding.kind not in _LATER]


def _where(finding: Finding, given: Mapping[str, _Given]) -> str | None:
    """Which part of the plan gives what a finding is about."""
    from medmd.workflows.check_config import COMMAND_LINE

    if finding.place is not None and finding.place.file != COMMAND_LINE:
        return None
    for name, each in given.items():
        path = tuple(name.replace("::", "#").split("#"))
        length = min(len(path), len(finding.path))
        if path[:length] == finding.path[:length]:
            return each.where
    return None


def _phantoms(plan: Plan, start: Start) -> Iterator[str]:
    """What is wrong with the phantoms that would be made."""
    for dataset in plan.datasets:
        asked = any(is_asked(plan, start, *pair) for pair in plan.pairs() if pair[0] is dataset)
        if asked and dataset.phantom is not None and dataset.name not in (start.data or {}):
            yield from (f"dataset {dataset.name}: phantom: {text}" for text in _of_phantom(dataset.phantom))


def _of_phantom(settings: Mapping[str, Any]) -> Iterator[str]:
    from medmd.data import PhantomCohort

    known = list(inspect.signature(PhantomCohort).parameters)
    unknown = [name for name in settings if name not in known]
    for name in unknown:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Expected some of {', '.join(known)}."
        yield f"unknown key {name!r}. {hint}"
    if not unknown:
        try:
            PhantomCohort(**settings)
        except (MedmdError, TypeError, AttributeError, ValueError) as error:
            text = str(error)
            yield text if isinstance(error, MedmdError) else f"expected numbers, got {dict(settings)} ({text})."
