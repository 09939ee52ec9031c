"""Cases as the flat dictionaries that MONAI's transforms take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from medmd.data._paths import path_problem
from medmd.data._read import load_datalist
from medmd.data._records import Case, Datalist, TargetSpec
from medmd.utils import MedmdError

# PyTorch's losses know no missing class; an index below 0 is none.
UNKNOWN_CLASS = -1


def load_items(
    path: str | Path, split: str, *, limit: int | None = None, labelled: bool = False
) -> list[dict[str, Any]]:
    """Load the cases of one split for MONAI.

    Args:
        path: the datalist.
        split: `training`, `validation`, `testing` or `unsplit`.
        limit: the first so many cases only.
        labelled: leave out cases whose target is unknown.

    Returns:
        One dictionary a case, in file order: `case_id`, `patient_id`, `laterality` (`R`, `L` or None), each present
        input under its name (absolute path, or list of numbers; the key is absent when the input is missing), and
        `target`: of kind `number` a float in the header's unit, NaN when unknown; of kind `class` an int, the class's
        index, -1 when unknown; of kind `multi` a list of such, one entry a task.

    Raises:
        MedmdError: no such split, no usable case in it (one input at least is needed), or a path that leaves the
            datalist's folder.
    """
    if limit is not None and limit < 1:
        msg = f"limit: expected a positive number or None, got {limit}."
        raise ValueError(msg)
    datalist = load_datalist(path)
    folder = Path(path).absolute().parent
    cases = [case for case in split_cases(datalist, split) if case.target is not None or not labelled]
    items = [_item(case, folder, datalist.header.target) for case in cases[:limit] if case.present]
    if not items:
        kind = "with a target and an input" if labelled else "with an input"
        msg = f"{Path(path).name}, {split}: no usable case. Expected at least one case {kind}, got none."
        raise MedmdError(msg)
    return items


def split_cases(datalist: Datalist, split: str) -> list[Case]:
    """The cases of one split, in file order.

    Raises:
        MedmdError: the datalist has no such list; the text names those it has.
    """
    if split not in datalist.splits:
        where = datalist.path.name if datalist.path else datalist.header.name
        hint = " Split it first: `medmd split`." if "unsplit" in datalist.splits else ""
        msg = f"{where}: expected a list '{split}', got {', '.join(datalist.splits) or 'none'}.{hint}"
        raise MedmdError(msg)
    return list(datalist.splits[split])


def _item(case: Case, folder: Path, spec: TargetSpec) -> dict[str, Any]:
    inputs = {name: _input(case, name, folder) for name in case.present}
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "laterality": case.laterality,
        **inputs,
        "target": flat_target(case.target, spec),
    }


def _input(case: Case, name: str, folder: Path) -> str | list[float]:
    value = case.inputs[name]
    if isinstance(value, str):
        problem = path_problem(value)
        if problem:
            msg = f"Case {case.case_id}, input {name}: expected a path below the datalist's folder, got {problem}."
            raise MedmdError(msg)
        return str(folder / value)
    return _floats(value or ())


def flat_target(value: Any, spec: TargetSpec) -> Any:
    """A case's target as transforms take it.

    Args:
        value: as in `Case.target`.
        spec: what the target is.
    """
    if spec.tasks:
        values = [None] * len(spec.tasks) if value is None else value
        if not isinstance(values, Sequence) or len(values) != len(spec.tasks):
            msg = f"A target of the tasks {', '.join(task.name for task in spec.tasks)}: expected one entry each."
            raise MedmdError(msg)
        return [flat_target(each, task) for each, task in zip(values, spec.tasks, strict=True)]
    if isinstance(value, Sequence):
        return _floats(value)
    if spec.kind == "class":
        return UNKNOWN_CLASS if value is None else int(value)
    return math.nan if value is None else float(value)


def _floats(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values]
