"""A plan file, checked whole before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from medmd.benchmark import _plan_fields as fields
from medmd.benchmark._overlays import OVERLAY_FOLDERS, find_overlay
from medmd.benchmark._plan import LABELS, PEERS, DatasetPlan, Limits, MethodPlan, Plan, TuningPlan
from medmd.benchmark._rows import WEIGHTS
from medmd.utils import MedmdError

_PLAN: dict[str, fields.Check] = {
    # `plan.json` of a folder is a plan, too.
    "format": fields.whole(1, 1),
    "name": fields.name,
    "seeds": fields.seeds,
    "datasets": list,
    "methods": list,
    "tuning": fields.optional(fields.settings),
    "limits": fields.optional(fields.settings),
}
_DATASET: dict[str, fields.Check] = {
    "name": fields.name,
    "overlays": fields.texts,
    "dataset_dir": fields.optional(fields.text),
    "phantom": fields.optional(fields.settings),
    "folds": fields.optional(fields.whole(3)),
    "epochs": fields.whole(1),
    "stage_one": fields.number(0.0, 1.0),
    "complete": fields.flag,
    "overrides": fields.settings,
    "title": fields.text,
    "datalist_sha256": fields.optional(fields.text),
    "target": fields.optional(fields.settings),
}
# What a plan that was written into a folder of runs says of the data that were found.
_NOTED = ("datalist_sha256", "target")
_METHOD: dict[str, fields.Check] = {
    "name": fields.row,
    "overlays": fields.texts,
    "peer": fields.optional(fields.one_of(*PEERS)),
    "of": fields.optional(fields.name),
    "column": fields.column,
    "blend": fields.columns,
    "weights": fields.one_of(*WEIGHTS),
    "shrinkage": fields.number(0.0, 1e9),
    "ensemble": fields.flag,
    "label": fields.one_of(*LABELS),
    "seeds": fields.optional(fields.seeds),
    "overrides": fields.settings,
    "space": fields.space,
    "stage_one": fields.optional(fields.number(0.0, 1.0)),
    "datasets": fields.optional(fields.texts),
    "title": fields.text,
}
_TUNING: dict[str, fields.Check] = {
    "trials": fields.whole(1),
    "space": fields.space,
    "seeds": fields.whole(1),
    "seed": fields.whole(0),
    "datasets": fields.optional(fields.texts),
}
_LIMITS: dict[str, fields.Check] = {
    "threads": fields.whole(1),
    "remember_mib": fields.whole(0),
    "hours": fields.optional(fields.number(0.0, 1e6)),
}
_REQUIRED = {"plan": ("name", "seeds", "datasets", "methods"), "dataset": ("name", "epochs"), "method": ("name",)}


def read_plan(path: str | Path) -> Plan:
    """Read and check a plan.

    Args:
        path: YAML; see the reference of its keys. Files and folders in it are meant from where it lies.

    Raises:
        MedmdError: all that is wrong with it, one line each.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        content, doubled = yaml.safe_load(text), list(_doubled(yaml.compose(text, Loader=yaml.SafeLoader)))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path.name}: cannot be read ({type(error).__name__}). Expected the plan of a benchmark in YAML."
        raise MedmdError(msg) from None
    except yaml.YAMLError as error:
        msg = f"{path.name}: no YAML: {' '.join(str(error).split())}"
        raise MedmdError(msg) from None
    if doubled:
        raise MedmdError("\n".join(f"{path.name}: {line}" for line in doubled))
    return make_plan(content, folder=path.absolute().parent, where=path.name)


def make_plan(content: Any, *, folder: Path | None = None, where: str = "plan") -> Plan:
    """Check what a plan file holds.

    Args:
        content: plain data.
        folder: against which the plan's files and folders are meant; by default the working directory.
        where: put before each sentence of the error.

    Raises:
        MedmdError: all that is wrong with it, one line each.
    """
    problems: list[str] = []
    base = Path.cwd() if folder is None else folder
    top = _checked(content, _PLAN, "plan", _REQUIRED["plan"], problems)
    datasets = _records(top.get("datasets", []), DatasetPlan, _DATASET, "dataset", base, problems)
    methods = _records(top.get("methods", []), MethodPlan, _METHOD, "method", base, problems)
    searched = top.get("tuning")
    tuning = None if searched is None else _checked(searched, _TUNING, "tuning", ("trials", "space"), problems)
    limits = _checked(top.get("limits") or {}, _LIMITS, "limits", (), problems)
    problems += _across(datasets, methods, tuning)
    if problems:
        raise MedmdError("\n".join(f"{where}: {line}" for line in problems))
    return Plan(
        name=top["name"],
        seeds=top["seeds"],
        datasets=tuple(datasets),
        methods=tuple(methods),
        tuning=None if tuning is None else TuningPlan(**tuning),
        limits=Limits(**limits),
    )


def _records(
    given: Sequence[Any], kind: Any, checks: Mapping[str, fields.Check], what: str, base: Path, problems: list[str]
) -> list[Any]:
    if not given:
        problems.append(f"{what}s: expected a list of at least one.")
    found = []
    for position, content in enumerate(given):
        label = content.get("name", position + 1) if isinstance(content, dict) else position + 1
        before = len(problems)
        values = _checked(content, checks, f"{what} {label}", _REQUIRED[what], problems)
        if len(problems) == before:
            for noted in _NOTED:
                values.pop(noted, None)
            record = kind(**values)
            found.append(_with_files(record, what, base, problems))
    return found


def _checked(
    content: Any, checks: Mapping[str, fields.Check], where: str, required: Sequence[str], problems: list[str]
) -> dict[str, Any]:
    if not isinstance(content, dict):
        problems.append(f"{where}: expected keys and values, got {type(content).__name__}.")
        return {}
    problems += [f"{where}: {key} is missing." for key in required if key not in content]
    found: dict[str, Any] = {}
    for key, value in content.items():
        if key not in checks:
            problems.append(f"{where}: unknown key {key!r}. {_nearest(str(key), checks)}")
            continue
        try:
            found[key] = checks[key](value)
        except fields.WrongValueError as error:
            problems.append(f"{where}: {key}: {error}")
        except TypeError:
            problems.append(f"{where}: {key}: expected a list, got {value!r}.")
    return found


def _with_files(record: Any, what: str, base: Path, problems: list[str]) -> Any:
    """The record with whole paths in the place of files that lie beside the plan."""
    overlays = []
    for overlay in record.overlays:
        try:
            overlays.append(find_overlay(overlay, default=OVERLAY_FOLDERS[what], base=base))
        except MedmdError as error:  # noqa: PERF203 - all of them are told
            problems.append(f"{what} {record.name}: overlays: {error}")
    record = replace(record, overlays=tuple(overlays))
    place = getattr(record, "dataset_dir", None)
    return record if place is None else replace(record, dataset_dir=str((base / Path(place).expanduser()).absolute()))


def _across(
    datasets: Sequence[DatasetPlan], methods: Sequence[MethodPlan], tuning: Mapping[str, Any] | None
) -> Iterator[str]:
    """What no single record can know."""
    names = {"dataset": [each.name for each in datasets], "method": [each.name for each in methods]}
    for what, found in names.items():
        yield from (
            f"{what} {name}: the name stands twice." for name in sorted({n for n in found if found.count(n) > 1})
        )
    for dataset in datasets:
        if dataset.phantom is not None and dataset.dataset_dir is not None:
            yield f"dataset {dataset.name}: expected dataset_dir or phantom, got both."
    for method in methods:
        yield from _faults(method, methods)
        if method.of is None:
            yield from _idle(method, is_searched=tuning is not None)
        yield from _unknown_datasets(f"method {method.name}", method.datasets, names["dataset"])
    if tuning:
        yield from _unknown_datasets("tuning", tuning.get("datasets"), names["dataset"])


def _faults(method: MethodPlan, methods: Sequence[MethodPlan]) -> Iterator[str]:
    where = f"method {method.name}"
    if ("*" in method.name) != ("*" in method.column):
        yield f"{where}: column {method.column!r}: a * stands in both name and column, or in neither."
    if method.of is not None:
        yield from _faults_of_reading(where, method, methods)
    elif method.blend or method.ensemble or method.weights != "equal" or method.shrinkage:
        yield f"{where}: blend and ensemble are for a row `of` another method, or of itself under another name."
    elif "*" in method.name:
        yield f"{where}: a name with a * is for a row `of` another method."
    elif method.peer is None and not method.overlays:
        yield f"{where}: expected overlays, peer or of."
    elif method.peer is not None and method.overlays:
        yield f"{where}: expected overlays or peer, got both."


def _faults_of_reading(where: str, method: MethodPlan, methods: Sequence[MethodPlan]) -> Iterator[str]:
    runs = {each.name for each in methods if each.of is None}
    if method.of not in runs:
        yield f"{where}: of: no method {method.of!r} is run. {_nearest(str(method.of), runs)}"
    runs_itself = method.peer or method.overlays or method.overrides or method.space
    if runs_itself or method.seeds is not None or method.stage_one is not None:
        yield f"{where}: a row `of` another method is not run: no peer, overlays, overrides, space, stage_one or seeds."
    if method.blend and ("*" in method.name or method.column != "fusion"):
        yield f"{where}: blend: is one row; expected a name without * and no column."
    if not method.blend and (method.weights != "equal" or method.shrinkage):
        yield f"{where}: weights and shrinkage are those of a blend."
    elif method.weights == "equal" and method.shrinkage:
        yield f"{where}: shrinkage: equal weights are drawn to nothing. Leave it out, or give weights: validation."


def _idle(method: MethodPlan, *, is_searched: bool) -> Iterator[str]:
    """Keys of a method that is run which would change nothing."""
    where = f"method {method.name}"
    if method.peer is not None and method.stage_one is not None:
        yield f"{where}: stage_one: a peer is not trained in stages. Leave it out."
    if not method.space:
        return
    if method.peer is not None:
        yield f"{where}: space: a peer is not searched. Leave it out."
    elif method.label != "core":
        yield f"{where}: space: only core methods are searched, not {method.label} ones. Label it core, or omit it."
    elif not is_searched:
        yield f"{where}: space: the plan searches nothing. Give it tuning, or leave it out."


def _unknown_datasets(where: str, asked: Sequence[str] | None, known: Sequence[str]) -> Iterator[str]:
    for name in asked or ():
        if name not in known:
            yield f"{where}: datasets: there is no {name!r} in the plan. {_nearest(name, known)}"


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Expected one of {', '.join(sorted(known))}."


def _doubled(node: Any, where: str = "") -> Iterator[str]:
    """Keys that stand twice: YAML keeps the last one without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield f"line {key.start_mark.line + 1}: {where}{key.value} stands twice."
            seen.add(key.value)
            yield from _doubled(value, f"{key.value}: ")
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _doubled(each, where)
