"""AgeDB: everything that is known of a photograph stands in its name, `id_Name_age_gender.jpg`."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep._release import Content
from data_prep._tables import read_rows
from medmd.utils import MedmdError, sha256_file

if TYPE_CHECKING:
    from medmd.data import Header

RANGE = (0.0, 120.0)
TABLE = "agedb.csv"
_NAME = re.compile(r"(\d{1,6})_(.+)_(\d{1,3})_([mf])\.jpe?g", re.IGNORECASE)
_SUFFIXES = (".jpg", ".jpeg")
_PARTS = {"train": "training", "val": "validation", "test": "testing"}
_DIGITS = 12


def read(source: Path, settings: Mapping[str, Any]) -> Content:
    """Find the photographs, and with `parts` = `dir` read the table of the imbalanced split.

    Raises:
        MedmdError: no photograph has a name of the release, or the table is absent or has other columns.
    """
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in _SUFFIXES)
    matches = {path: match for path in files if (match := _NAME.fullmatch(path.name))}
    if not matches:
        msg = f"{source}: expected photographs named id_Name_age_gender.jpg, found none among {len(files)} files."
        raise MedmdError(msg)
    table = _read_table(source) if settings["parts"] == "dir" else {}
    content = Content(header=_header(), cases=[], picture="face")
    # Names of the excluded would name people: they are counted.
    content.excluded = {f"unnamed-{place:05d}": "name_foreign" for place in range(len(files) - len(matches))}
    salt = sha256("\n".join(sorted(path.name for path in matches)).encode()).digest()
    for path, match in matches.items():
        _add(content, path, match, salt, table)
    people = len({_person(match[2], salt) for match in matches.values()})
    content.facts = {"people": people}
    content.summary = [f"people: {people}"]
    if table:
        content.source = {TABLE: sha256_file(_table_path(source))}
        content.facts["split"] = "imbalanced: the lists share people, as its authors made them"
    return content


def _add(content: Content, path: Path, match: re.Match[str], salt: bytes, table: Mapping[str, str]) -> None:
    from medmd.data import Case

    case_id, age = f"agedb-{int(match[1]):05d}", float(match[3])
    if case_id in content.pictures:
        content.excluded[f"{case_id}-again"] = "number_twice"
        return
    content.pictures[case_id] = path
    person = f"agedb-p{_person(match[2], salt)}"
    case = Case(
        case_id=case_id,
        patient_id=case_id if table else person,
        patient_id_is_surrogate=bool(table),
        inputs={},
        target=age,
        sex=match[4].upper(),
    )
    content.cases.append(case)
    if not RANGE[0] <= age <= RANGE[1]:
        content.excluded[case_id] = "label_out_of_range"
    if table:
        part = table.get(path.name)
        content.parts[case_id] = part or "training"
        if part is None:
            content.excluded[case_id] = "not_in_split"


def _person(name: str, salt: bytes) -> str:
    return hmac.new(salt, name.casefold().encode(), sha256).hexdigest()[:_DIGITS]


def _table_path(source: Path) -> Path:
    found = sorted(source.rglob(TABLE))
    if len(found) != 1:
        msg = f"{source}: expected one {TABLE} (age, path, split) below it, found {len(found) or 'none'}."
        raise MedmdError(msg)
    return found[0]


def _read_table(source: Path) -> dict[str, str]:
    """Name of a photograph -> part."""
    header, *rows = read_rows(_table_path(source)) or [()]
    names = [str(name).lower() for name in header]
    if not {"path", "split"} <= set(names):
        msg = f"{TABLE}: expected the columns age, path, split; got {', '.join(names)}."
        raise MedmdError(msg)
    path, split = names.index("path"), names.index("split")
    return dict(_rows(rows, path, split))


def _rows(rows: Iterable[tuple[Any, ...]], path: int, split: int) -> Iterable[tuple[str, str]]:
    for number, cells in enumerate(rows, start=2):
        whole = max(path, split) < len(cells)
        part = _PARTS.get(str(cells[split]).strip().lower()) if whole else None
        if part is None or not cells[path]:
            got = "another or no part, or no path" if whole else f"a row of {len(cells)} cells"
            msg = f"{TABLE}, line {number}: expected a path and one of {', '.join(_PARTS)}, got {got}. Mend the line."
            raise MedmdError(msg)
        yield str(cells[path]).rpartition("/")[2], part


def _header() -> Header:
    from medmd.data import Header, InputSpec, TargetSpec

    return Header(
        name="age_db",
        description="Faces of the AgeDB release, one at an age; people's names are not kept.",
        inputs={"face": InputSpec(kind="image", details={"description": "photograph of a face"})},
        target=TargetSpec(name="age", unit="years", range=RANGE),
        source='Moschoglou et al., "AgeDB: the first manually collected, in-the-wild age database", CVPRW 2017',
        converter="data_prep.age_db",
    )
