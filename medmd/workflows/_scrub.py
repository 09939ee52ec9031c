"""A configuration that may leave the machine: without paths, since folders are named after people and patients."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "<path>"
# Settings that name a place; whatever they hold is hidden, also a relative path.
_PLACES = frozenset(
    {"bundle_root", "dataset_dir", "phantom_dir", "output_dir", "output_file", "model_dir", "folder", "path", "source"}
)
_WORDS: tuple[str, ...] = ("name", "version", "converter", "created_with")
_TARGET = ("name", "kind", "unit", "range", "pattern", "classes")
_COUNTS = ("cases", "patients", "targets", "splits", "inputs")
# The beginnings of an absolute path or an address. In a formula, a slash that divides has a space or a name before it.
_BEGINNING = r"(?<![\w.)\]>/])(?:~|[A-Za-z]:\\|\\\\|[a-z][a-z0-9+]*:/+|/(?=[^\s/]))"
_QUOTED = re.compile(rf"(['\"]){_BEGINNING}[^'\"]*\1")
_BARE = re.compile(rf"{_BEGINNING}[^\s'\"]*")
_WHOLE = re.compile(rf"^{_BEGINNING}")


def scrub(value: Any, *, name: str = "") -> Any:
    """A copy of plain data without paths.

    Args:
        value: dictionaries, lists and literals.
        name: of the setting that holds `value`.

    Returns:
        The same structure; a text that is a place or holds a path has `<path>` in its stead. References and
        expressions (`@…`, `$…`) stay, except for the paths in them.
    """
    if isinstance(value, dict):
        return {key: scrub(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub(item, name=name) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith(("@", "$")):
        return _BARE.sub(HIDDEN, _QUOTED.sub(rf"\1{HIDDEN}\1", value))
    # A remark may say "and/or"; in a setting, a text with a slash is taken for a relative path, spaces or not.
    is_remark = name.startswith("_") and re.search(r"\s", value)
    is_path = _WHOLE.match(value) or (re.search(r"[/\\]", value) and not is_remark)
    return HIDDEN if name in _PLACES or is_path else _BARE.sub(HIDDEN, value)


def scrub_header(header: dict[str, Any]) -> dict[str, Any]:
    """What may leave the machine of a datalist's header: its name, its form and its counts.

    Free texts (description, source), the reference and whatever else somebody wrote into it stay where the data is.
    """
    kept = {name: header[name] for name in _WORDS if name in header}
    target = _scrub_target(header.get("target", {}))
    inputs = {name: {"kind": form["kind"]} for name, form in header.get("inputs", {}).items()}
    counts = {name: value for name, value in header.get("counts", {}).items() if name in _COUNTS}
    return {**kept, "inputs": inputs, "target": target, "counts": counts}


def _scrub_target(target: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in target.items() if name in _TARGET}
    return {**kept, "tasks": [_scrub_target(task) for task in target["tasks"]]} if "tasks" in target else kept
