"""RSNA bone age: tables of ids, months and sex, and a folder of radiographs of the hand for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content
from data_prep._report import some
from data_prep._tables import read_rows
from data_prep.rsna_bone_age._find import columns_of, files_of_release, find_tables
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    from medmd.data import Header

RANGE = (0.0, 240.0)
_MALE = {"true": "M", "1": "M", "m": "M", "male": "M", "false": "F", "0": "F", "f": "F", "female": "F"}


def read(source: Path, settings: Mapping[str, Any]) -> Content:
    """Read the tables and find the radiographs; `settings` are empty.

    Raises:
        MedmdError: there is no table of the training part, two of one part, or one with other columns.
    """
    tables, unused = find_tables(source)
    photographs: dict[str, list[Path]] = {}
    for path in files_of_release(source, "*.png"):
        photographs.setdefault(path.stem, []).append(path)
    content = Content(header=_header(), cases=[], picture="hand")
    for part, path in tables.items():
        _add_table(content, part, path, photographs)
    _choose_testing(content)
    listed = {case.details["release_id"] for case in content.cases}
    unlisted = sum(len(found) for key, found in photographs.items() if key not in listed)
    content.facts = {"photographs_not_listed": unlisted}
    if unlisted:
        content.summary.append(f"photographs that no table lists: {unlisted}")
    if unused:
        content.facts["tables_not_used"] = [path.name for path in unused]
        content.summary.append(f"tables not used: {some([path.name for path in unused])}")
    alike = len({path.name for path in tables.values()}) < len(tables)
    content.source = {
        path.relative_to(source).as_posix() if alike else path.name: sha256_file(path) for path in tables.values()
    }
    return content


def _add_table(content: Content, part: str, path: Path, photographs: Mapping[str, list[Path]]) -> None:
    header, *rows = read_rows(path) or [()]
    names, (ids, ages, sexes) = columns_of(header)
    if ids is None or sexes is None or (ages is None and part != "testing"):
        msg = f"{path.name}: expected the columns id, boneage and male, or their names in another part; got {names}."
        raise MedmdError(msg)
    for cells in rows:
        wide = [*cells, *[None] * len(names)]
        _add_case(content, part, str(wide[ids]), None if ages is None else wide[ages], wide[sexes], photographs)


def _add_case(
    content: Content, part: str, name: str, age: Any, sex: Any, photographs: Mapping[str, list[Path]]
) -> None:
    from medmd.data import Case

    number = name.removesuffix(".0")
    case_id = f"boneage-{part}-{number}" if number.isdigit() else f"boneage-{part}-row-{len(content.cases)}"
    if case_id in content.parts or not number.isdigit():
        content.excluded[f"{part}, {number}"] = "row_twice" if number.isdigit() else "row_without_id"
        return
    said = _MALE.get(str(sex).strip().lower())
    target, reason = _months(age)
    found = photographs.get(number, [])
    if reason is None and len(found) != 1:
        reason = "photograph_twice" if found else "photograph_absent"
    case = Case(
        case_id=case_id,
        patient_id=case_id,
        patient_id_is_surrogate=True,
        inputs={"sex": None if said is None else [float(said == "M")]},
        target=target,
        sex=said,
        details={"release_id": number},
    )
    content.cases.append(case)
    content.parts[case_id] = part
    if reason:
        content.excluded[case_id] = reason
    else:
        content.pictures[case_id] = found[0]


def _months(cell: Any) -> tuple[float | None, str | None]:
    if cell is None:
        return None, "label_absent"
    try:
        months = float(cell)
    except (TypeError, ValueError):
        return None, "label_unreadable"
    return (months, None) if RANGE[0] <= months <= RANGE[1] else (None, "label_out_of_range")


def _choose_testing(content: Content) -> None:
    """Without a labelled part to test on, the validation part is tested on, and some training cases validate."""
    labelled = {content.parts[case.case_id] for case in content.cases if case.target is not None}
    if "testing" not in labelled and "validation" in labelled:
        content.parts = {
            name: "testing" if part == "validation" else "training" if part == "training" else part
            for name, part in content.parts.items()
        }
        content.summary.append("the release's validation part is the list testing; training cases validate")


def _header() -> Header:
    from medmd.data import Header, InputSpec, TargetSpec

    return Header(
        name="rsna_bone_age",
        description="Radiographs of children's hands of the RSNA Pediatric Bone Age Challenge 2017; the release names "
        "no patients.",
        inputs={
            "hand": InputSpec(kind="image", details={"description": "radiograph of the left hand"}),
            "sex": InputSpec(kind="vector", details={"components": ["male"], "length": 1}),
        },
        target=TargetSpec(name="bone_age", unit="months", range=RANGE),
        source='Halabi et al., "The RSNA Pediatric Bone Age Machine Learning Challenge", Radiology 290(2), 2019',
        converter="data_prep.rsna_bone_age",
    )
