"""Top-level settings: their types, compared with those of the bundle's own values, and what their users take."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from monai.bundle import ConfigComponent

from medmd.workflows.check_config._arguments import annotation_of, arguments_of
from medmd.workflows.check_config._components import NOT_ARGUMENTS, is_disabled, resolve, target_of
from medmd.workflows.check_config._findings import Finding, short
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._paths import entries
from medmd.workflows.check_config._types import UNKNOWN, fits, is_plain

_NAMES: dict[type, str] = {
    bool: "bool (True or False)",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    dict: "dict",
}


# A path is as good as what finds it.
_MAY_BE_TEXT = frozenset({"datalist"})


def check_settings_types(merged: Merged) -> None:
    """Note settings of another type than the bundle's own value has, unless a component that uses them takes it."""
    shipped = shipped_settings(merged.config)
    for name, value in merged.config.items():
        default = merged.base.get(name) if merged.is_override((name,)) else shipped.get(name, merged.base.get(name))
        if isinstance(default, dict) and _loses_target(default, value) and name not in _MAY_BE_TEXT:
            what, known = "replaces a whole component, but names no _target_", str(default["_target_"])
            argument = next(iter(value), "name") if isinstance(value, dict) else "name"
            fix = f'"+{name}" merges with it; {name}#{argument} sets one argument'
            merged.add(Finding("error", "wrong-type", (name,), what, None, known, short(value), fix))
        expected = _type_of(default)
        if expected is None or _is_reference(value) or not is_plain(value) or _same(expected, value):
            continue
        if value is None or ConfigComponent.is_instantiable(value):
            continue
        if True not in set(_judgements(merged.config, name)) and not _is_name(merged, name, expected, value):
            fix = _fix(expected, value)
            what = "wrong type"
            merged.add(Finding("error", "wrong-type", (name,), what, None, _NAMES[expected], short(value), fix))


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    from medmd.commands.bundle_path import bundle_folder
    from medmd.utils import MedmdError, read_json

    try:
        folder = bundle_folder()
        return {name: read_json(folder / f"{name}.json") for name in ("train", "evaluate", "inference")}
    except (MedmdError, OSError):
        return {}


def shipped_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of the installed bundle's configuration of which this one is a variant, or none."""
    marks = {"train": "session", "evaluate": "evaluation", "inference": "inference"}
    for name, content in _shipped().items():
        mark = config.get(marks[name])
        if isinstance(mark, dict) and mark.get("_target_") == content[marks[name]]["_target_"]:
            return content
    return {}


def _type_of(value: Any) -> type | None:
    """The type that a default asks for, or `None` when it may be anything."""
    if _is_reference(value) or ConfigComponent.is_instantiable(value):
        return None
    return next((cls for cls in _NAMES if type(value) is cls), None)


def _loses_target(default: dict[str, Any], value: Any) -> bool:
    """Whether settings alone, or a text, stand in a component's place: MONAI replaces, it does not merge."""
    is_text = isinstance(value, str | int | float) and not _is_reference(value)
    is_bare = isinstance(value, dict) and "_target_" not in value and not is_disabled(value)
    return (is_bare or is_text) and ConfigComponent.is_instantiable(default)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value[:1] in ("@", "$", "%")


def _same(expected: type, value: Any) -> bool:
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected is list:
        return isinstance(value, (list, tuple))
    return type(value) is expected


def _is_name(merged: Merged, name: str, expected: type, value: Any) -> bool:
    # MONAI makes numbers of `--run_name 2024` unasked.
    return expected is str and type(value) in (int, float) and merged.is_override((name,))


def _judgements(config: dict[str, Any], name: str) -> Iterator[bool | None]:
    """What each component that is given the setting as an argument says of its value."""
    for path, component in entries(config):
        if not ConfigComponent.is_instantiable(component) or is_disabled(component):
            continue
        mine = [key for key, value in component.items() if value == f"@{name}" and key not in NOT_ARGUMENTS]
        target = target_of(component) if mine else None
        arguments = arguments_of(target) if target is not None else None
        for key in mine if arguments else ():
            plain = resolve(config, (*path, key), component[key])[1]
            known = arguments.names.get(key) if arguments else None
            yield fits(plain, annotation_of(*known)) if known and plain is not UNKNOWN else None


def _fix(expected: type, value: Any) -> str:
    if expected is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"write {value.capitalize()} on the command line, {value.lower()} in JSON"
    if expected is list and isinstance(value, str):
        return f"write \"['{value}']\""
    return ""
