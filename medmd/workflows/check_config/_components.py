"""Components: their `_target_` must exist, and take the arguments that are given."""

from __future__ import annotations

from typing import Any

from monai.bundle import ConfigComponent, ConfigExpression, ReferenceResolver

from medmd.workflows.check_config._arguments import Arguments, annotation_of, arguments_of
from medmd.workflows.check_config._findings import Finding, Path, short, show
from medmd.workflows.check_config._merge import Merged
from medmd.workflows.check_config._near import did_you_mean, nearest
from medmd.workflows.check_config._paths import entries, first_missing, value_at
from medmd.workflows.check_config._targets import TRUSTED, NotLocatedError, locate
from medmd.workflows.check_config._types import UNKNOWN, fits, is_plain, name_of

_MODES = ("default", "callable", "debug")
# MONAI takes it out of the arguments, besides those that it documents.
NOT_ARGUMENTS = frozenset(ConfigComponent.non_arg_keys) | {"_debug_"}
_CLOSE = 0.8
_MOST_LISTED = 15


def check_components(merged: Merged) -> None:
    """Note targets that do not exist, and arguments that they do not take, lack, or take in another type."""
    for path, value in entries(merged.config):
        if path[:1] == ("_meta_",) or not isinstance(value, dict):
            continue
        if ConfigComponent.is_instantiable(value):
            _check(merged, path, value)
        else:
            _check_misspelt(merged, path, value)


def is_disabled(component: dict[str, Any]) -> bool:
    """Whether MONAI leaves this component out."""
    return ConfigComponent(component).is_disabled()


def target_of(component: Any) -> Any:
    """The class or function behind a component, or `None`."""
    if not ConfigComponent.is_instantiable(component) or not isinstance(component["_target_"], str):
        return None
    try:
        return locate(component["_target_"])
    except NotLocatedError:
        return None


def _check(merged: Merged, path: Path, component: dict[str, Any]) -> None:
    _check_switches(merged, path, component)
    name = component["_target_"]
    if is_disabled(component) or not isinstance(name, str) or name[:1] in ("@", "$"):
        return
    try:
        target = locate(name)
    except NotLocatedError as error:
        what, fix = error.args
        here = (*path, "_target_")
        merged.add(Finding("error", "unknown-target", here, f"cannot be located: {what}", got=repr(name), fix=fix))
        return
    if target is None:
        what = f"{name} is not checked: only {', '.join(TRUSTED)} are imported to be looked at"
        merged.add(Finding("note", "not-checked", (*path, "_target_"), what))
        return
    arguments = arguments_of(target) if callable(target) else None
    if arguments is not None:
        _check_names(merged, path, component, arguments)
        _check_values(merged, path, component, arguments)


def _check_switches(merged: Merged, path: Path, component: dict[str, Any]) -> None:
    mode, disabled = component.get("_mode_", "default"), component.get("_disabled_", False)
    if isinstance(mode, str) and mode[:1] not in ("@", "$") and mode not in _MODES:
        expected, fix = " or ".join(map(repr, _MODES)), did_you_mean(nearest(mode, _MODES))
        here = (*path, "_mode_")
        merged.add(Finding("error", "wrong-value", here, "no such mode", None, expected, repr(mode), fix))
    is_text = isinstance(disabled, str) and disabled[:1] not in ("@", "$")
    if is_text and disabled.strip().lower() not in ("true", "false"):
        what = "MONAI reads every text but 'true' as false"
        here = (*path, "_disabled_")
        merged.add(Finding("error", "wrong-type", here, what, None, "true or false", repr(disabled)))


def _check_names(merged: Merged, path: Path, component: dict[str, Any], arguments: Arguments) -> None:
    given = {str(name) for name in component} - NOT_ARGUMENTS
    target = component["_target_"]
    missing = sorted(arguments.required - given) if component.get("_mode_", "default") == "default" else []
    for name in sorted(given - arguments.names.keys()):
        near = nearest(name, [*(arguments.names.keys() - given), *NOT_ARGUMENTS]) or nearest(name, arguments.names)
        # With open arguments only a name that stands for a missing one is certainly wrong.
        if arguments.open and near not in missing:
            continue
        what = f"{target} takes no argument {name!r}"
        fix = did_you_mean(near) or _listed(arguments)
        merged.add(Finding("error", "unknown-argument", (*path, name), what, fix=fix))
    for name in missing:
        what = f"{target} needs the argument {name!r}, which is not given"
        merged.add(Finding("error", "missing-argument", path, what, fix=f'add "{name}"'))


def _listed(arguments: Arguments) -> str:
    names = sorted(arguments.names)
    if len(names) > _MOST_LISTED:
        return "leave it out"
    return f"it takes {', '.join(names)}" if names else "it takes no arguments"


def _check_values(merged: Merged, path: Path, component: dict[str, Any], arguments: Arguments) -> None:
    for name, value in component.items():
        if name in NOT_ARGUMENTS or name not in arguments.names:
            continue
        annotation = annotation_of(*arguments.names[name])
        source, plain = resolve(merged.config, (*path, name), value)
        if fits(plain, annotation) is False and not _is_forgiven(merged, source, plain, annotation):
            use = "" if source == (*path, name) else f" in {show((*path, name))}"
            what = f"{component['_target_']} does not take this as {name!r}{use}"
            merged.add(Finding("error", "wrong-type", source, what, None, name_of(annotation), short(plain)))


def _is_forgiven(merged: Merged, source: Path, value: Any, annotation: Any) -> bool:
    """A number on the command line may be meant as a name: MONAI makes numbers of `--run_name 2024` unasked."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and merged.is_override(source) and fits(str(value), annotation) is not False


def resolve(config: Any, path: Path, value: Any) -> tuple[Path, Any]:
    """A value with its references followed: where it is written, and what it is as far as that is known now."""
    seen = {path}
    while isinstance(value, str) and value[:1] == "@":
        named = list(ReferenceResolver.match_refs_pattern(value))
        target = tuple(named[0].split("::")) if len(named) == 1 else ()
        if not target or target in seen or first_missing(config, target)[0]:
            return path, UNKNOWN
        seen.add(target)
        path, value = target, value_at(config, target)
    return path, _plain(config, path, value, len(seen))


def _plain(config: Any, path: Path, value: Any, depth: int) -> Any:
    if ConfigComponent.is_instantiable(value) or ConfigExpression.is_expression(value) or not is_plain(value):
        return UNKNOWN
    # What is left of a macro could not be found, which is noted already.
    if depth > 20 or (isinstance(value, str) and value[:1] == "%"):
        return UNKNOWN
    if isinstance(value, dict):
        return {name: _nested(config, (*path, str(name)), item, depth) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_nested(config, (*path, str(number)), item, depth) for number, item in enumerate(value)]
    return value


def _nested(config: Any, path: Path, value: Any, depth: int) -> Any:
    if isinstance(value, str) and value[:1] == "@":
        found = resolve(config, path, value)[1]
        return found if not isinstance(found, (dict, list)) else UNKNOWN
    return _plain(config, path, value, depth + 1)


def _check_misspelt(merged: Merged, path: Path, value: dict[str, Any]) -> None:
    """A dictionary whose `_target_` is misspelt is taken for plain data, without a word."""
    for name in value:
        near = nearest(str(name), ["_target_"], _CLOSE)
        if near and isinstance(value[name], str):
            what = f"{name!r} makes this no component: MONAI knows only '_target_'"
            merged.add(Finding("error", "unknown-key", (*path, str(name)), what, fix=did_you_mean(near)))
