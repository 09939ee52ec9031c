"""The one writer of datalists: equal content gives equal bytes, and what it writes can be read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

from medmd._version import __version__
from medmd.data._read import LISTS
from medmd.data._records import UNSPLIT, Case, Datalist, Header, TargetSpec
from medmd.data._schema import violations
from medmd.utils import MedmdError, write_json

_CASE_KEYS = tuple(field.name for field in fields(Case) if field.name != "details")


def write_datalist(path: str | Path, datalist: Datalist) -> None:
    """Write `datalist` atomically; `created_with` and `counts` are computed here.

    Keys stand in a fixed order, the inputs of every case in the header's order, and no clock time is written, so that
    equal content gives equal bytes. Absolute paths below the datalist's folder are made relative, NumPy numbers plain;
    an input that a case does not mention is written as null, explicitly missing.

    Args:
        path: the file to make or replace.
        datalist: header and cases.

    Raises:
        MedmdError: a path outside the folder, a number that is not finite, an unknown input or anything else that the
            schema refuses; nothing is written then.
    """
    path = Path(path)
    document = datalist_document(datalist, path.parent)
    for item in violations(document):
        case = f" (case {item.case_id})" if item.case_id else ""
        msg = f"{path.name} is not written: {item.where}{case}: expected {item.expected}, got {item.found}."
        raise MedmdError(msg)
    write_json(path, document)


def datalist_document(datalist: Datalist, folder: Path) -> dict[str, Any]:
    """The datalist as JSON values, paths relative to `folder`."""
    _check_splits(datalist)
    header = datalist.header
    document: dict[str, Any] = {
        "name": header.name,
        "description": header.description,
        "version": header.version,
        "inputs": {name: {"kind": spec.kind, **_sorted(spec.details)} for name, spec in header.inputs.items()},
        "target": _target_spec(header.target),
        "source": header.source,
        "converter": header.converter,
        "created_with": f"medmd {__version__}",
        "counts": count_cases(datalist),
    }
    if header.reference:
        document["reference"] = _sorted(header.reference)
    _add_details(document, header.details, f"datalist {header.name}", reserved=LISTS)
    for split in LISTS:
        if split in datalist.splits:
            document[split] = [_item(case, header, folder) for case in datalist.splits[split]]
    return _plain(document, "header")


def _target_spec(spec: TargetSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "unit": spec.unit,
        "range": [float(bound) for bound in spec.range],
        **({"classes": list(spec.classes)} if spec.classes else {}),
        **({"tasks": [_target_spec(task) for task in spec.tasks]} if spec.tasks else {}),
        **_sorted(spec.details),
    }


def count_cases(datalist: Datalist) -> dict[str, Any]:
    """How many cases, patients and targets there are, and how many cases by split and by present input."""
    cases = [case for _, case in datalist.cases()]
    return {
        "cases": len(cases),
        "patients": len({case.patient_id for case in cases}),
        "targets": sum(case.target is not None for case in cases),
        "splits": {name: len(datalist.splits[name]) for name in LISTS if name in datalist.splits},
        "inputs": {name: sum(case.inputs.get(name) is not None for case in cases) for name in datalist.header.inputs},
    }


def _check_splits(datalist: Datalist) -> None:
    names = set(datalist.splits)
    unknown = names - set(LISTS)
    if unknown or (UNSPLIT in names and len(names) > 1):
        msg = (
            f"Datalist {datalist.header.name}: expected the lists training, validation, testing, or unsplit alone; "
            f"got {', '.join(sorted(names))}."
        )
        raise MedmdError(msg)


def _item(case: Case, header: Header, folder: Path) -> dict[str, Any]:
    unknown = sorted(set(case.inputs) - set(header.inputs))
    if unknown:
        msg = (
            f"Case {case.case_id}: inputs {', '.join(unknown)} are not in the header. Expected some of "
            f"{', '.join(header.inputs)}; add the input to the header or drop it from the case."
        )
        raise MedmdError(msg)
    item: dict[str, Any] = {"case_id": case.case_id, "patient_id": case.patient_id}
    if case.patient_id_is_surrogate:
        item["patient_id_is_surrogate"] = True
    item["inputs"] = {name: _input(case, case.inputs.get(name), folder) for name in header.inputs}
    item["target"] = _target(case.target, header.target)
    item.update({key: value for key in ("laterality", "age", "sex") if (value := getattr(case, key)) is not None})
    item.update({key: _sorted(value) for key in ("hashes", "reference") if (value := getattr(case, key))})
    _add_details(item, case.details, f"case {case.case_id}", reserved=_CASE_KEYS)
    return _plain(item, f"case {case.case_id}")


def _input(case: Case, value: Any, folder: Path) -> Any:
    if not isinstance(value, str | PurePath):
        return value
    if not Path(value).is_absolute():
        relative = PurePath(value)
    else:
        relative = PurePath(os.path.relpath(value, Path(folder).absolute()))
    if ".." in relative.parts:
        msg = (
            f"Case {case.case_id}: an input lies outside the datalist's folder. Expected a path below the folder "
            "of the datalist; copy the file there, or write the datalist higher up."
        )
        raise MedmdError(msg)
    return relative.as_posix()


def _add_details(record: dict[str, Any], details: Mapping[str, Any], where: str, *, reserved: Sequence[str]) -> None:
    taken = sorted(set(details) & {*record, *reserved})
    if taken:
        msg = f"{where}: the details {', '.join(taken)} have fields of their own; set those instead."
        raise MedmdError(msg)
    record.update(_sorted(details))


def _target(target: Any, spec: TargetSpec) -> Any:
    if spec.kind == "class":
        return target
    if spec.tasks and isinstance(target, Sequence) and len(target) == len(spec.tasks):
        return [_target(value, task) for value, task in zip(target, spec.tasks, strict=True)]
    return _as_float(target)


def _as_float(target: Any) -> Any:
    # -3 and -3.0 are one value and shall be one text.
    return float(target) if isinstance(target, int) and not isinstance(target, bool) else target


def _sorted(value: Any) -> Any:
    """Mappings, at every depth, with their keys in order."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}, {key}") for key, item in value.items()}
    if isinstance(value, PurePath):
        return value.as_posix()
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, torch tensors
        return _plain(value.tolist(), where)
    if isinstance(value, float):
        return _finite(value, where)
    if isinstance(value, list) and set(map(type, value)) == {float} and math.isfinite(sum(value)):
        return value  # thousands of vectors, each of hundreds of numbers
    if isinstance(value, Sequence | Iterable):
        return [_plain(item, where) for item in value]
    msg = f"{where}: expected a JSON value, got {type(value).__name__}."
    raise MedmdError(msg)


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        msg = f"{where}: expected a finite number, got {value}. Write None where a value is unknown."
        raise MedmdError(msg)
    return float(value)
