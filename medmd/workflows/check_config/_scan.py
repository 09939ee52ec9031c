"""Reads one configuration file with the line of every entry, which neither `json` nor MONAI keeps."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from medmd.workflows.check_config._findings import Finding, Path, Place

SUFFIXES = (".json", ".yaml", ".yml")
# Far beyond any configuration, and well within Python's own limit.
_DEEPEST = 60
_MOST_ENTRIES = 20_000
_SPACE = re.compile(r"[ \t\n\r]*")
# The reader of texts that json itself uses; it has no entry in the type stubs.
_scan_string = json.decoder.scanstring  # type: ignore[attr-defined]
_WORD = re.compile(r"[^ \t\n\r,\]}]+")


@dataclass
class Scanned:
    """A file's content and where each entry stands; `content` is `None` when it cannot be read."""

    file: str
    content: dict[str, Any] | None = None
    places: dict[Path, Place] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class _TooMuch(Exception):  # noqa: N818 - not an error of the program
    pass


def scan_file(file: str) -> Scanned:
    """Read a file as MONAI would, noting lines, duplicate keys and errors of syntax; nothing is raised."""
    path, scanned = FilePath(file), Scanned(file)
    if path.suffix.lower() not in SUFFIXES:
        _refuse(scanned, "no configuration", expected="a file that ends in .json, .yaml or .yml", got=path.name)
        return scanned
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        _refuse(scanned, f"cannot be read ({error.strerror})", fix="name a file that exists")
    except UnicodeDecodeError as error:
        _refuse(scanned, "is not UTF-8 text", got=f"byte {error.object[error.start]:#04x} at {error.start}")
    else:
        scan_text(scanned, text)
    return scanned


def scan_text(scanned: Scanned, text: str) -> None:
    """Fill `scanned` from the text of its file."""
    is_json = FilePath(scanned.file).suffix.lower() == ".json"
    try:
        content = (_scan_json if is_json else _scan_yaml)(scanned, text)
    except (_TooMuch, RecursionError):
        _refuse(scanned, f"is nested deeper than {_DEEPEST} levels, or has more than {_MOST_ENTRIES} entries")
        return
    if scanned.findings and scanned.findings[-1].kind == "syntax":
        return
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        _refuse(scanned, "a configuration is a set of named settings", expected="{…}", got=type(content).__name__)
        return
    scanned.content = content


def _scan_json(scanned: Scanned, text: str) -> Any:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(scanned.file, error.lineno, error.colno)
        line = text.splitlines()[error.lineno - 1 : error.lineno] or [""]
        _refuse(scanned, f"JSON syntax: {error.msg}", place, got=_around(line[0], error.colno), fix=_hint(text, error))
        return None
    except ValueError as error:
        _refuse(scanned, f"JSON: {error}")
        return None
    _JsonWalk(scanned, text).value(_SPACE.match(text).end(), ())  # type: ignore[union-attr]
    return content


class _JsonWalk:
    """Goes through JSON text that is known to be sound, and notes where each entry begins."""

    def __init__(self, scanned: Scanned, text: str) -> None:
        self.scanned = scanned
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def value(self, at: int, path: Path) -> int:
        """Go through the value that begins at `at`; returns where it ends."""
        if len(path) > _DEEPEST:
            raise _TooMuch
        if self.text[at] == "{":
            return self._object(at, path)
        if self.text[at] == "[":
            return self._array(at, path)
        if self.text[at] == '"':
            return _scan_string(self.text, at + 1, False)[1]
        return _WORD.match(self.text, at).end()  # type: ignore[union-attr]

    def _object(self, at: int, path: Path) -> int:
        at = self._skip(at + 1)
        seen: dict[str, Place] = {}
        while self.text[at] != "}":
            name, end = _scan_string(self.text, at + 1, False)
            _note(self.scanned, (*path, name), self._place(at), seen)
            at = self.value(self._skip(self._skip(end) + 1), (*path, name))
            at = self._next(at)
        return at + 1

    def _array(self, at: int, path: Path) -> int:
        at, number = self._skip(at + 1), 0
        while self.text[at] != "]":
            here = (*path, str(number))
            self.scanned.places[here] = self._place(at)
            at = self._next(self.value(at, here))
            number += 1
        return at + 1

    def _next(self, at: int) -> int:
        at = self._skip(at)
        return self._skip(at + 1) if self.text[at] == "," else at

    def _skip(self, at: int) -> int:
        return _SPACE.match(self.text, at).end()  # type: ignore[union-attr]

    def _place(self, at: int) -> Place:
        line = bisect.bisect_right(self.starts, at)
        return Place(self.scanned.file, line, at - self.starts[line - 1] + 1)


def _scan_yaml(scanned: Scanned, text: str) -> Any:
    import yaml  # type: ignore[import-untyped]

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _walk_yaml(scanned, node, ())
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = Place(scanned.file, mark.line + 1, mark.column + 1) if mark else None
        line = text.splitlines()[mark.line : mark.line + 1] if mark else []
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        _refuse(scanned, f"YAML syntax: {problem}", place, got=line[0].strip()[:100] if line else "")
    except (ValueError, TypeError) as error:
        _refuse(scanned, f"YAML: {error}")
    return None


def _walk_yaml(scanned: Scanned, node: Any, path: Path) -> None:
    if len(path) > _DEEPEST or len(scanned.places) > _MOST_ENTRIES:
        raise _TooMuch
    seen: dict[str, Place] = {}
    for name, marked, value in _yaml_entries(node):
        place = Place(scanned.file, marked.start_mark.line + 1, marked.start_mark.column + 1)
        _note(scanned, (*path, name), place, seen)
        _walk_yaml(scanned, value, (*path, name))


def _yaml_entries(node: Any) -> Iterator[tuple[str, Any, Any]]:
    if node.id == "mapping":
        for key, value in node.value:
            # A merge (<<: *base) is no key of its own.
            if key.tag != "tag:yaml.org,2002:merge":
                yield str(key.value), key, value
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            yield str(number), value, value


def _note(scanned: Scanned, path: Path, place: Place, seen: dict[str, Place]) -> None:
    if path[-1] in seen:
        first = seen[path[-1]]
        what = f"the key {path[-1]!r} stands twice in one object, first in line {first.line}; the first one is ignored"
        finding = Finding("error", "duplicate-key", path, what, place, fix="remove one of the two")
        scanned.findings.append(finding)
        for known in [known for known in scanned.places if known[: len(path)] == path]:
            del scanned.places[known]
    seen[path[-1]] = place
    scanned.places[path] = place


def _refuse(
    scanned: Scanned, what: str, place: Place | None = None, *, expected: str = "", got: str = "", fix: str = ""
) -> None:
    place = place or Place(scanned.file)
    scanned.findings.append(Finding("error", "syntax", (), what, place, expected, got, fix))


def _around(line: str, column: int) -> str:
    """The line, cut to what surrounds the column when it is long."""
    if len(line) <= 100:
        return line.strip()
    begin = max(0, column - 50)
    return f"…{line[begin : begin + 100].strip()}…"


def _hint(text: str, error: json.JSONDecodeError) -> str:
    """What most often causes this error, or nothing."""
    before, after = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if text.startswith("\ufeff"):
        return "save the file as UTF-8 without a byte order mark"
    if before.endswith(",") and after[:1] in ("}", "]"):
        return "remove the comma before the closing bracket"
    if after[:1] == ",":
        return "a comma too many, or a value is missing"
    if after[:1] == "'":
        return "write texts and keys between double quotes"
    if after[:1] in ("#", "/"):
        return 'JSON has no comments; write a key such as "_note_"'
    words = {"True": "true", "False": "false", "None": "null"}
    word = next((word for word in words if after.startswith(word)), "")
    if word:
        return f"JSON spells {word} as {words[word]}"
    return "a comma is missing before this" if "',' delimiter" in error.msg else ""
