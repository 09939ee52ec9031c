"""What a failed configuration did wrong, told from the exception that MONAI raised."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from monai.bundle import ConfigExpression, ReferenceResolver
from monai.utils import instantiate

from medmd.utils import MedmdError
from medmd.workflows.check_config._arguments import arguments_of
from medmd.workflows.check_config._near import did_you_mean, nearest
from medmd.workflows.check_config._targets import TRUSTED, NotLocatedError, locate

_UNRESOLVED = re.compile(r"the referring item `@(?P<name>[^`]*)` is not defined|id='(?P<id>[^']*)' is not found")
_CIRCLE = re.compile(r"detected circular references '(?P<name>[^']*)' for id='(?P<id>[^']*)'")
_NOT_LOCATED = re.compile(r"Cannot locate class or function path: '(?P<name>[^']*)'")
# What stands in them is run, not built: an error there says nothing about the entry.
_STEPS = ("initialize", "run", "finalize")
# How many calls below its constructor an argument is still being checked.
_NEAR = 3
_HINT = "--debug True shows the traceback."
_CHECK = "`medmd check-config` finds this without a run."


def explain(error: BaseException) -> str | None:
    """One sentence with the place in the configuration, the cause and what to do; `None` for any other error."""
    path = _config_path(error)
    chain = list(_chain(error))
    own = next((cause for cause in chain if isinstance(cause, MedmdError)), None)
    if own is not None:
        where = "" if not path or path.split("#")[0] in (*_STEPS, str(own).split(":")[0]) else f" (at {path})"
        return f"{own}{where}"
    told = next(filter(None, (_of_link(link) for link in reversed(chain))), None)
    return None if told is None else f"{path + ': ' if path else ''}{told} {_HINT}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    found, trace = [], error.__traceback__
    while isinstance(trace, TracebackType):
        found.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _config_path(error: BaseException) -> str:
    """The innermost entry that MONAI was making."""
    code = ReferenceResolver._resolve_one_item.__code__
    ids = [frame.f_locals.get("id") for frame, _ in _frames(error) if frame.f_code is code]
    return str(ids[-1]).replace("::", "#") if ids else ""


def _of_link(error: BaseException) -> str | None:
    """What one exception of a chain says, if it is one that a configuration causes."""
    frames = _frames(error)
    if not frames:
        return None
    frame = frames[-1][0]
    if isinstance(error, SyntaxError):
        is_expression = any(isinstance(frame.f_locals.get("self"), ConfigExpression) for frame, _ in frames)
        return f"the expression {error.text!r} is not Python: {error.msg}." if is_expression else None
    if isinstance(error, ModuleNotFoundError):
        return _of_location(str(error))
    if isinstance(error, (KeyError, ValueError)) and frame.f_code is ReferenceResolver._resolve_one_item.__code__:
        return _of_reference(str(error), frame.f_locals["self"])
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        if frame.f_code is instantiate.__code__:
            return _of_call(error.__cause__, frame)
        if frame.f_code is ConfigExpression.evaluate.__code__:
            return _of_expression(error.__cause__, frame)
    return None


def _of_location(message: str) -> str | None:
    found = _NOT_LOCATED.search(message)
    if found is None:
        return None
    try:
        locate(found["name"])
    except NotLocatedError as missing:
        what, near = missing.args
        return f"{found['name']!r} cannot be located: {what}{_hint(near)}. {_CHECK}"
    return f"{found['name']!r} cannot be located. Is its package installed?"


def _of_reference(message: str, resolver: ReferenceResolver) -> str | None:
    circle, unresolved = _CIRCLE.search(message), _UNRESOLVED.search(message)
    if circle is not None:
        ends = " and ".join(name.replace("::", "#") for name in (circle["id"], circle["name"]))
        return f"the references of {ends} go round in a circle. Give one of them a value. {_CHECK}"
    if unresolved is None:
        return None
    name = unresolved["name"] or unresolved["id"]
    near = nearest(name, resolver.items, 0.8)
    return f"@{name.replace('::', '#')} leads nowhere{_hint(did_you_mean(near and near.replace('::', '#')))}. {_CHECK}"


def _of_expression(cause: BaseException, frame: FrameType) -> str | None:
    """An error in the text of the expression itself, not in what it calls."""
    if _frames(cause)[-1][0].f_code.co_filename != "<string>":
        return None
    return f"the expression {frame.f_locals.get('value')!r} fails: {type(cause).__name__}: {cause}."


def _of_call(cause: BaseException, frame: FrameType) -> str | None:
    """An error of the call of a component, or in the constructor's treatment of its arguments."""
    if not isinstance(cause, (TypeError, ValueError)):
        return None
    component, given = frame.f_locals.get("component"), frame.f_locals.get("kwargs", {})
    path = frame.f_locals.get("__path")
    # As the configuration writes it; an expression may have given the component itself.
    name = path if isinstance(path, str) else str(getattr(component, "__qualname__", component))
    inner = [entry for entry in _frames(cause) if entry[0] is not frame]
    # The name may have been handed on, and refused by a constructor further up.
    if not inner or "unexpected keyword argument" in str(cause):
        return _of_signature(component, given, name) or f"{name} cannot be called so: {cause}."
    if _is_judged(inner, component, given):
        return f"{name}: {str(cause).rstrip('.')}."
    return None


def _of_signature(component: Any, given: dict[str, Any], name: str) -> str | None:
    arguments = arguments_of(component)
    if arguments is None:
        return None
    unknown = sorted(given.keys() - arguments.names.keys())
    if unknown and not arguments.open:
        near = did_you_mean(nearest(unknown[0], arguments.names))
        return f"{name} takes no argument {unknown[0]!r}{_hint(near)}. {_CHECK}"
    missing = sorted(arguments.required - given.keys())
    return f"{name} needs {', '.join(map(repr, missing))}, which is not given. {_CHECK}" if missing else None


def _is_judged(inner: list[tuple[FrameType, int]], component: Any, given: dict[str, Any]) -> bool:
    """Whether an argument is at fault: its constructor fails in its own body, raises on purpose, or stumbles on it."""
    frame, line = inner[-1]
    if str(frame.f_globals.get("__name__", "")).split(".")[0] not in TRUSTED:
        return False
    bodies = all(
        step.f_code.co_name in ("__init__", "__new__", "__post_init__") or step.f_code is _code(component)
        for step, _ in inner
    )
    raises = linecache.getline(frame.f_code.co_filename, line).strip().startswith("raise ")
    # Numbers are left out: the same small number may be met anywhere.
    plain = [id(value) for value in given.values() if isinstance(value, (str, list, dict, tuple))]
    stumbles = len(inner) <= _NEAR and any(id(value) in plain for value in frame.f_locals.values())
    return bodies or raises or stumbles


def _code(component: Any) -> Any:
    return getattr(component, "__code__", None)


def _hint(near: str) -> str:
    return f"; {near.rstrip('?')}" if near else ""
