"""Superconductivity: two tables whose rows belong together, or a stand-in with other features in one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content, row
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    import numpy.typing as npt

    from medmd.data import Header

TABLE, FORMULAS, TARGET, MATERIAL = "train.csv", "unique_m.csv", "critical_temp", "material"
STAND_IN = ("composition", "elements", "magpie", "tc", "group")
RANGE = (0.0, 300.0)
_PROPERTIES, _ELEMENTS = 81, 86
# Kinds of arrays that hold numbers: truth values, whole and real ones.
_NUMBERS = "biuf"
# The tables give temperatures to four decimals at most.
_TOLERANCE = 1e-3
_CITATION = (
    'Hamidieh, "A data-driven statistical model for predicting the critical temperature of a superconductor", '
    "Computational Materials Science 154, 2018"
)


def read(source: Path, settings: Mapping[str, Any]) -> Content:
    """Read the release of the UCI repository, or with `stand_in` a file of other features.

    Raises:
        MedmdError: the files are not those of the release.
    """
    import numpy as np

    table = _read_stand_in(source) if settings["stand_in"] else _read_tables(source)
    properties, composition, temperatures, groups, facts = table
    matrices = {"properties": properties.astype(np.float32), "composition": composition.astype(np.float32)}
    content = Content(header=_header(matrices, stand_in=settings["stand_in"]), cases=[], matrices=matrices)
    content.source, content.facts = facts, _group_facts(groups)
    if settings["split_by"] == "compound":
        content.facts["split_by"] = "compound: relatives stand on both sides, so that errors are flattered"
        groups = [f"{place:05d}" for place in range(len(groups))]
    _add_cases(content, temperatures, groups)
    content.summary = [f"families: {content.facts['families']}, the largest of {content.facts['largest_family']}"]
    return content


def _read_tables(source: Path) -> tuple[Any, Any, Any, list[str], dict[str, Any]]:
    import numpy as np

    from data_prep._numbers import read_columns, read_header
    from data_prep.superconductivity._family import families

    paths = {name: source / name for name in (TABLE, FORMULAS)}
    for name, path in paths.items():
        if not path.is_file():
            msg = f"{source}: expected {TABLE} and {FORMULAS} of the UCI release, {name} is absent."
            raise MedmdError(msg)
    names = [name for name in read_header(paths[TABLE]) if name != TARGET]
    elements = [name for name in read_header(paths[FORMULAS]) if name not in (TARGET, MATERIAL)]
    if (len(names), len(elements)) != (_PROPERTIES, _ELEMENTS):
        msg = (
            f"{source}: expected {_PROPERTIES} properties and {_ELEMENTS} elements, got {len(names)} and "
            f"{len(elements)}. Download the release again."
        )
        raise MedmdError(msg)
    properties = read_columns(paths[TABLE], [*names, TARGET])
    composition = read_columns(paths[FORMULAS], [*elements, TARGET])
    same = len(properties) == len(composition) and np.allclose(properties[:, -1], composition[:, -1], atol=_TOLERANCE)
    if not same:
        msg = (
            f"{source}: the rows of {TABLE} and {FORMULAS} tell of different temperatures: they do not belong together."
        )
        raise MedmdError(msg)
    facts = {name: sha256_file(path) for name, path in paths.items()}
    groups = families(composition[:, :-1], elements)
    return properties[:, :-1], composition[:, :-1], properties[:, -1], groups, facts


def _read_stand_in(source: Path) -> tuple[Any, Any, Any, list[str], dict[str, Any]]:
    from data_prep._npz import read_npz

    found = [source] if source.is_file() else sorted(source.glob("*.npz"))
    if len(found) != 1:
        msg = f"{source}: expected one .npz file, found {len(found) or 'none'}."
        raise MedmdError(msg)
    arrays, _ = read_npz(found[0], STAND_IN)
    _check_stand_in(found[0].name, arrays)
    groups = [f"{group:05d}" for group in arrays["group"].tolist()]
    facts = {"file": found[0].name, "sha256": sha256_file(found[0])}
    return arrays["magpie"], arrays["composition"], arrays["tc"], groups, facts


def _check_stand_in(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    missing = [each for each in STAND_IN if each not in arrays]
    if missing:
        msg = f"{name}: expected the arrays {', '.join(STAND_IN)}, {', '.join(missing)} are absent."
        raise MedmdError(msg)
    # The size, unlike the length, is there for an array without axes too.
    rows, columns, statistics = arrays["tc"].size, arrays["elements"].size, arrays["magpie"].shape[-1:]
    shapes = {"tc": (rows,), "composition": (rows, columns), "magpie": (rows, *statistics), "group": (rows,)}
    kinds = {"composition": _NUMBERS, "magpie": _NUMBERS, "tc": _NUMBERS, "group": "i"}
    for each, shape in shapes.items():
        if not rows or arrays[each].shape != shape or arrays[each].dtype.kind not in kinds[each]:
            msg = (
                f"{name}: expected a row a compound in composition (a column an element), magpie, tc and group (whole "
                f"numbers), got {each} of shape {arrays[each].shape} and type {arrays[each].dtype}. Export the file "
                "again."
            )
            raise MedmdError(msg)


def _add_cases(content: Content, temperatures: Sequence[float], groups: Sequence[str]) -> None:
    from data_prep._numbers import whole_rows
    from medmd.data import Case

    whole = whole_rows(content.matrices)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups), start=1)}
    prefix = content.header.name
    for place, group in enumerate(groups):
        case_id, target = f"{prefix}-{place:05d}", float(temperatures[place])
        inputs = {name: row(name, place) if whole[name][place] else None for name in content.matrices}
        patient = f"{prefix}-family-{numbers[group]:05d}"
        content.cases.append(Case(case_id=case_id, patient_id=patient, inputs=inputs, target=round(target, 5)))
        if not RANGE[0] <= target <= RANGE[1]:
            content.excluded[case_id] = "label_out_of_range"
        elif not any(inputs.values()):
            content.excluded[case_id] = "not_finite"


def _group_facts(groups: Sequence[str]) -> dict[str, Any]:
    counts = Counter(groups)
    return {"families": len(counts), "largest_family": max(counts.values())}


def _header(matrices: Mapping[str, npt.NDArray[Any]], *, stand_in: bool) -> Header:
    from medmd.data import Header, InputSpec, TargetSpec

    said = {
        "properties": "statistics of the properties of a compound's elements",
        "composition": "amount of each element in the compound",
    }
    name = "superconductors" if stand_in else "superconductivity"
    return Header(
        name=name,
        description="Superconducting compounds; a chemical family is a patient, so that relatives stay in one list.",
        inputs={
            each: InputSpec(kind="vector", details={"description": said[each], "length": matrix.shape[1]})
            for each, matrix in matrices.items()
        },
        target=TargetSpec(name="critical_temperature", unit="K", range=RANGE),
        source="stand-in for Superconductivity, with Magpie statistics" if stand_in else _CITATION,
        converter="data_prep.superconductivity",
    )
