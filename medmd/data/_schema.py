"""The datalist's JSON schema, and its violations as sentences that name the case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from medmd.utils import read_json

SCHEMA_PATH = Path(__file__).with_name("datalist.schema.json")
_SHOWN = 80
_PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PRIVATE = {"case_id", "patient_id", "inputs"}


class Violation(NamedTuple):
    """One place where a document departs from the schema.

    `split`, `position` and `case_id` are None for the header, `case_id` also where it is no pseudonym; `where` is the
    place in the document as `training[3].target`.
    """

    where: str
    expected: str
    found: str
    split: str | None
    position: int | None
    case_id: str | None


def violations(document: Any) -> Iterator[Violation]:
    """Every violation of the schema in document order."""
    errors = _validator().iter_errors(_with_short_vectors(document))
    for error in sorted(errors, key=lambda error: [str(part) for part in error.absolute_path]):
        path = list(error.absolute_path)
        yield Violation(_place(path), _expected(error), _found(error, path), *_case_of(document, path))


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(read_json(SCHEMA_PATH))


def _with_short_vectors(document: Any) -> Any:
    """The document with one number in the place of every vector of numbers, which would take milliseconds each."""
    if not isinstance(document, Mapping):
        return document
    return {
        name: [_shortened(case) for case in value] if isinstance(value, list) else value
        for name, value in document.items()
    }


def _shortened(case: Any) -> Any:
    inputs = case.get("inputs") if isinstance(case, Mapping) else None
    if not isinstance(inputs, Mapping):
        return case
    return {**case, "inputs": {name: [0] if _is_vector(value) else value for name, value in inputs.items()}}


def _is_vector(value: Any) -> bool:
    # By exact type: a truth value is an int to Python and no number to the schema.
    return isinstance(value, list) and bool(value) and {float, int}.issuperset(map(type, value))


def _case_of(document: Any, path: list[Any]) -> tuple[str | None, int | None, str | None]:
    if len(path) < 2 or not isinstance(path[1], int):
        return None, None, None
    case = document[path[0]][path[1]]
    case_id = case.get("case_id") if isinstance(case, Mapping) else None
    is_pseudonym = isinstance(case_id, str) and _PSEUDONYM.fullmatch(case_id)
    return str(path[0]), path[1], case_id if is_pseudonym else None


def _place(path: list[Any]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the document"


def _expected(error: Any) -> str:
    rule, value = error.validator, error.validator_value
    if rule == "required":
        return f"the keys {', '.join(value)}"
    if rule == "anyOf" and not error.absolute_path:
        return "one of the lists training, validation, testing, unsplit"
    if rule == "anyOf":
        return "one of: " + ", ".join(str(option.get("type")) for option in value)
    if rule == "not":
        return "a key other than " + ", ".join(value["enum"])
    return f"{rule} {_shorten(value)}"


def _found(error: Any, path: list[Any]) -> str:
    # What is no pseudonym, and a path, may be the name of a patient: it is not repeated.
    if isinstance(error.instance, str) and len(path) > 2 and _PRIVATE & set(path[2:]):
        return f"a text of {len(error.instance)} characters"
    return _shorten(error.instance)


def _shorten(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object with the keys {_cut(', '.join(map(str, value)))}"
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
