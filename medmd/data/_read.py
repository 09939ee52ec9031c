"""Reading a datalist into records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Any

from medmd.data._records import SPLITS, UNSPLIT, Case, Datalist, Header, InputSpec, TargetSpec
from medmd.data._rows import require_rows
from medmd.data._schema import violations
from medmd.utils import MedmdError, read_json, sha256_file

LISTS = (*SPLITS, UNSPLIT)
_TARGET_KEYS = ("name", "kind", "unit", "range", "classes", "tasks")
_TEXTS = ("description", "version", "source", "converter", "created_with")
_HEADER_KEYS = ("name", *_TEXTS, "inputs", "target", "counts", "reference")
_CASE_KEYS = tuple(field.name for field in fields(Case) if field.name != "details")
_SHOWN = 5
# Digests of files that obeyed the schema: a run reads its datalist a dozen times, and to validate one of thousands of
# cases takes seconds.
_SOUND: set[str] = set()


def load_datalist(path: str | Path) -> Datalist:
    """Read and validate a datalist; the images it names are not opened (see `check_datalist`).

    A vector that stands in a matrix (`vectors/text.npy#17`) is read: the case holds its numbers.

    Args:
        path: the JSON file.

    Raises:
        MedmdError: the file is absent, is not JSON or breaks the schema, or a vector's matrix cannot be read; the text
            names places and cases.
    """
    path = Path(path)
    document = read_json(path)
    _require_schema(document, path)
    return require_rows(parse_datalist(document, path))


def _require_schema(document: Mapping[str, Any], path: Path) -> None:
    digest = sha256_file(path)
    if digest in _SOUND:
        return
    found = list(islice(violations(document), _SHOWN))
    if found:
        lines = "".join(
            f"\n  {item.where}{f' (case {item.case_id})' if item.case_id else ''}: expected {item.expected}, "
            f"got {item.found}"
            for item in found
        )
        msg = f"{path.name}: not a medmd datalist.{lines}\nRun `medmd check {path.name}` to see every finding."
        raise MedmdError(msg)
    _SOUND.add(digest)


def parse_datalist(document: Mapping[str, Any], path: Path | None = None) -> Datalist:
    """Records from a document that obeys the schema."""
    splits = {name: [parse_case(item) for item in document[name]] for name in LISTS if name in document}
    return Datalist(header=_header(document), splits=splits, path=path)


def parse_case(item: Mapping[str, Any]) -> Case:
    """One case from an item that obeys the schema."""
    known: dict[str, Any] = {key: item[key] for key in _CASE_KEYS if key in item}
    return Case(**known, details=_rest(item, _CASE_KEYS))


def _header(document: Mapping[str, Any]) -> Header:
    return Header(
        name=document["name"],
        **{key: document[key] for key in _TEXTS},
        inputs={
            name: InputSpec(kind=spec["kind"], details=_rest(spec, ("kind",)))
            for name, spec in document["inputs"].items()
        },
        target=parse_target(document["target"]),
        counts=document["counts"],
        reference=document.get("reference", {}),
        details=_rest(document, (*_HEADER_KEYS, *LISTS)),
    )


def parse_target(target: Mapping[str, Any]) -> TargetSpec:
    """What is predicted, from a header's `target` that obeys the schema."""
    low, high = target["range"]
    return TargetSpec(
        name=target["name"],
        kind=target["kind"],
        unit=target["unit"],
        range=(low, high),
        classes=tuple(target.get("classes", ())),
        tasks=tuple(parse_target(task) for task in target.get("tasks", ())),
        details=_rest(target, _TARGET_KEYS),
    )


def _rest(record: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in known}
