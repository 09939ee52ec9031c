"""Rules that can be checked on the records alone: ids, splits, targets, kinds of inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from medmd.data._paths import path_problem
from medmd.data._records import Case, Datalist, Header, TargetSpec
from medmd.data._write import count_cases
from medmd.data.check._findings import REFUSAL, WARNING, Finding

_SHOWN = 5


def record_findings(datalist: Datalist) -> Iterator[Finding]:
    """Findings that need no file."""
    yield from _doubled_cases(datalist)
    yield from _patients(datalist)
    lengths: dict[str, int] = {}
    for split, case in datalist.cases():
        yield from _target(case, split, datalist.header)
        yield from _inputs(case, split, datalist.header, lengths)
    yield from _whole(datalist)


def _doubled_cases(datalist: Datalist) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for split, case in datalist.cases():
        if case.case_id in seen:
            yield Finding(
                rule="case-twice",
                level=REFUSAL,
                case_id=case.case_id,
                split=split,
                expected="every case id once",
                found=f"it stands already in the list {seen[case.case_id]}",
                fix="Remove one of the two, or give each visit its own case id.",
            )
        seen.setdefault(case.case_id, split)


def _patients(datalist: Datalist) -> Iterator[Finding]:
    home: dict[str, tuple[str, str]] = {}
    for split, case in datalist.cases():
        other, first = home.setdefault(case.patient_id, (split, case.case_id))
        if other != split:
            yield Finding(
                rule="patient-in-two-splits",
                level=REFUSAL,
                case_id=case.case_id,
                split=split,
                expected=f"all cases of patient {case.patient_id} in one list",
                found=f"case {first} of this patient in the list {other}",
                fix="Split by patient: `medmd split`.",
            )


def _target(case: Case, split: str, header: Header) -> Iterator[Finding]:
    spec, value = header.target, case.target
    if value is None:
        return
    problem = _target_problem(value, spec)
    if problem:
        rule, expected, found = problem
        yield Finding(
            rule=rule,
            level=REFUSAL,
            case_id=case.case_id,
            split=split,
            expected=f"{expected} {spec.unit}".rstrip(),
            found=found,
            fix="Look at the source (a sign, a unit, a wrong column?) and mend it, or write null when it is unknown.",
        )


def _target_problem(value: Any, spec: TargetSpec) -> tuple[str, str, str] | None:
    is_list = not isinstance(value, int | float)
    if is_list != (spec.kind == "multi"):
        found = "a list" if is_list else "one"
        return "target-kind", "a list of numbers" if spec.kind == "multi" else "one number", found
    if is_list and spec.tasks:
        return _tasks_problem(value, spec.tasks)
    values = [item for item in value if item is not None] if is_list else [value]
    if spec.kind == "class" and any(item != int(item) for item in values if math.isfinite(item)):
        return "target-kind", "an integer", str(value)
    low, high = spec.range
    if not low < high:
        # The fault is the header's and is told once, not for every case.
        return None
    outside = [item for item in values if not low <= item <= high]
    if outside and spec.classes:
        expected = f"the index of one of the {len(spec.classes)} classes, 0 to {len(spec.classes) - 1}"
        return "target-range", expected, f"{outside[0]:g}"
    return ("target-range", f"a target within [{low:g}, {high:g}]", f"{outside[0]:g}") if outside else None


def _tasks_problem(values: Any, tasks: Sequence[TargetSpec]) -> tuple[str, str, str] | None:
    if len(values) != len(tasks):
        names = ", ".join(task.name for task in tasks)
        return "target-kind", f"{len(tasks)} entries, for {names}", f"{len(values)}"
    problems = (
        (task, _target_problem(value, task)) for value, task in zip(values, tasks, strict=True) if value is not None
    )
    first = next(((task, problem) for task, problem in problems if problem), None)
    return None if first is None else (first[1][0], f"for the task {first[0].name} {first[1][1]}", first[1][2])


def _inputs(case: Case, split: str, header: Header, lengths: dict[str, int]) -> Iterator[Finding]:
    def refuse(rule: str, name: str, expected: str, found: str, fix: str) -> Finding:
        return Finding(
            rule=rule,
            level=REFUSAL,
            case_id=case.case_id,
            split=split,
            input=name,
            expected=expected,
            found=found,
            fix=fix,
        )

    for name, value in case.inputs.items():
        if name not in header.inputs:
            known = ", ".join(header.inputs)
            yield refuse("unknown-input", name, f"one of {known}", "another name", "Name it in the header's inputs.")
        elif value is not None:
            for rule, expected, found, fix in _value_problems(value, header.inputs[name].kind, lengths, name):
                yield refuse(rule, name, expected, found, fix)


def _value_problems(value: Any, kind: str, lengths: dict[str, int], name: str) -> Iterator[tuple[str, str, str, str]]:
    if isinstance(value, str) == (kind == "vector"):
        found = "a path" if isinstance(value, str) else "numbers"
        expected = "a list of numbers" if kind == "vector" else f"the path of a {kind}"
        yield "input-kind", expected, found, "Mend the case, or the kind in the header."
    elif isinstance(value, str):
        problem = path_problem(value)
        if problem:
            fix = "Copy the file below the datalist's folder and name it with / relative to it."
            yield "path", "a path below the datalist's folder", problem, fix
    elif not all(math.isfinite(item) for item in value):
        yield "vector", "finite numbers", "NaN or infinite", "Write null for the input when it is unknown."
    elif len(value) != lengths.setdefault(name, len(value)):
        expected = f"{lengths[name]} numbers, as in the first case that has this input"
        yield "vector", expected, f"{len(value)} numbers", "Give every case the same measurements in the same order."


def _whole(datalist: Datalist) -> Iterator[Finding]:
    yield from _limits(datalist.header)
    counts = count_cases(datalist)
    if dict(datalist.header.counts) != counts:
        yield Finding(
            rule="counts",
            level=WARNING,
            expected="the counts of the header to be those of the lists",
            found="other counts; the file was changed after it was written",
            fix="Write it with `medmd.data.write_datalist`, which counts.",
        )
    yield from _no_inputs(datalist)
    yield from _no_laterality(datalist)
    yield from _empty_training(datalist)
    yield from _unusable(datalist)


def _no_inputs(datalist: Datalist) -> Iterator[Finding]:
    for split, case in datalist.cases():
        if not case.present:
            yield Finding(
                rule="no-input",
                level=WARNING,
                case_id=case.case_id,
                split=split,
                expected="at least one input",
                found="all are missing",
                fix="The case is left out when items are loaded; remove it.",
            )


def _no_laterality(datalist: Datalist) -> Iterator[Finding]:
    pictured = [case for _, case in datalist.cases() if _has_picture(case, datalist.header)]
    without = [case.case_id for case in pictured if case.laterality is None]
    if without:
        first = ", ".join(without[:_SHOWN]) + (", …" if len(without) > _SHOWN else "")
        yield Finding(
            rule="no-laterality",
            level=WARNING,
            expected="R or L for every case with a volume or an image",
            found=f"none for {len(without)} of {len(pictured)} such cases: {first}",
            fix="Give it: images of left eyes are mirrored, and a model that does so refuses cases without.",
        )


def _has_picture(case: Case, header: Header) -> bool:
    return any(name in header.inputs and header.inputs[name].kind != "vector" for name in case.present)


def _empty_training(datalist: Datalist) -> Iterator[Finding]:
    if "training" in datalist.splits and not datalist.splits["training"]:
        yield Finding(
            rule="empty-list",
            level=WARNING,
            split="training",
            expected="at least one case",
            found="none",
            fix="Leave the list out when the datalist is for evaluation only, or split anew: `medmd split`.",
        )


def _unusable(datalist: Datalist) -> Iterator[Finding]:
    training = datalist.splits.get("training", ())
    if training and all(case.target is None for case in training):
        yield Finding(
            rule="no-target",
            level=REFUSAL,
            split="training",
            expected="at least one case with a known target",
            found=f"none among {len(training)}",
            fix="Name the list unsplit or testing when it is for inference, or give the targets.",
        )
    if not any(case.present for _, case in datalist.cases()):
        yield Finding(
            rule="no-usable-case",
            level=REFUSAL,
            expected="at least one case with an input",
            found=f"none among {sum(1 for _ in datalist.cases())}",
            fix="Look at what the converter left out and why.",
        )


def _limits(header: Header) -> Iterator[Finding]:
    for spec, where in _specs(header):
        low, high = spec.range
        if not low < high:
            yield Finding(
                rule="target-range",
                level=REFUSAL,
                expected="the header's range from a smaller to a larger number",
                found=f"[{low:g}, {high:g}]",
                fix=f"Mend {where}.range in the header.",
            )
        elif spec.classes and (low, high) != (0, len(spec.classes) - 1):
            yield Finding(
                rule="target-range",
                level=REFUSAL,
                expected=f"the header's range [0, {len(spec.classes) - 1}] for {len(spec.classes)} classes",
                found=f"[{low:g}, {high:g}]",
                fix=f"Mend {where}.range or {where}.classes in the header.",
            )
    yield from _kinds(header)


def _specs(header: Header) -> Iterator[tuple[TargetSpec, str]]:
    yield header.target, "target"
    for place, task in enumerate(header.target.tasks):
        yield task, f"target.tasks[{place}]"


def _kinds(header: Header) -> Iterator[Finding]:
    names = [task.name for task in header.target.tasks]
    misplaced = [where for spec, where in _specs(header) if spec.classes and spec.kind != "class"]
    if names and header.target.kind != "multi":
        misplaced.append("target.tasks")
    if misplaced or len(set(names)) < len(names):
        yield Finding(
            rule="target-kind",
            level=REFUSAL,
            expected="classes for a target of kind class, tasks with names of their own for one of kind multi",
            found=f"others at {', '.join(misplaced)}" if misplaced else "a name that two tasks bear",
            fix="Mend kind, classes or tasks of the target in the header.",
        )
