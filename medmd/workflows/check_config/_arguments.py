"""Which arguments a class or function takes, also through the calls that its `**kwargs` are handed on to."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass
class Arguments:
    """What may be given by name.

    Attributes:
        names: name → (annotation as it is written, the names of the module in which it is written).
        required: names that must be given.
        open: whether further names are taken, which are then not known.
    """

    names: dict[str, tuple[Any, Mapping[str, Any]]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    open: bool = False


def arguments_of(target: Any) -> Arguments | None:
    """The arguments of `target`, or `None` when they cannot be told. To be read only."""
    try:
        return _arguments_of(target)
    except (ValueError, TypeError):
        return None


@cache
def _arguments_of(target: Any) -> Arguments:
    signature = inspect.signature(target)
    found = Arguments()
    bodies = _constructors(target) if inspect.isclass(target) else [target]
    spread = _add(found, list(signature.parameters.values()), bodies[0] if bodies else target, taken=set())
    while spread is not None:
        found.open = True
        body = bodies.pop(0) if bodies else None
        call = None if body is None else _call_with(body, spread, "super().__init__" if bodies else "")
        receiver = None if call is None else bodies[0] if bodies else _named(body, call)
        if call is None or receiver is None:
            break
        bodies = bodies or (_constructors(receiver) if inspect.isclass(receiver) else [receiver])
        try:
            # A class shows its constructor's parameters without `self`.
            parameters = list(inspect.signature(receiver).parameters.values())
        except (ValueError, TypeError):
            break
        parameters = [parameter for parameter in parameters if parameter.name != "self"]
        given = {parameter.name for parameter in parameters[: len(call.args)]}
        given |= {keyword.arg for keyword in call.keywords if keyword.arg}
        spread = _add(found, parameters, bodies[0] if bodies else receiver, given)
        found.open = spread is not None
    return found


def _constructors(cls: type) -> list[Any]:
    return [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base) and base is not object]


def _named(function: Any, call: ast.Call) -> Any:
    """What a call of a plain name in `function` calls, if it can be told."""
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    return scope.get(call.func.id) if isinstance(call.func, ast.Name) else None


def _add(found: Arguments, parameters: list[inspect.Parameter], owner: Any, taken: set[str]) -> str | None:
    """Add parameters; returns the name of the one that takes all others."""
    scope = getattr(inspect.unwrap(owner), "__globals__", {}) if callable(owner) else {}
    for parameter in parameters:
        if parameter.kind in _VARIADIC or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            continue
        if parameter.name in taken or parameter.name in found.names:
            continue
        found.names[parameter.name] = (parameter.annotation, scope)
        if parameter.default is inspect.Parameter.empty:
            found.required.add(parameter.name)
    return next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)


def _call_with(function: Callable[..., Any], spread: str, callee: str) -> ast.Call | None:
    """The call that is handed `**spread`, when nothing is taken out of it before.

    Args:
        function: in whose body to look.
        spread: the name that is handed on.
        callee: what is called, or an empty text for any plain name.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):
        return None
    is_own = str(getattr(function, "__module__", "")).startswith("medmd.")
    looks = [name for node in ast.walk(tree) for name in _looks(node, is_own=is_own)]
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == spread]
    uses = [node for node in uses if node not in looks]
    for call in [node for node in ast.walk(tree) if isinstance(node, ast.Call)]:
        handed = [keyword.value for keyword in call.keywords if keyword.arg is None]
        is_wanted = ast.unparse(call.func) == callee if callee else isinstance(call.func, ast.Name)
        starred = any(isinstance(argument, ast.Starred) for argument in call.args)
        if is_wanted and len(uses) == 1 and handed == uses and not starred:
            return call
    return None


def _looks(node: ast.AST, *, is_own: bool) -> list[ast.expr]:
    """What a node looks at without taking anything out of it; functions of ours never take out."""
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Del):
        return [node.value]
    if isinstance(node, ast.Compare):
        return list(node.comparators)
    if not isinstance(node, ast.Call):
        return []
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "setdefault"):
        return [node.func.value]
    return list(node.args) if is_own else []


def annotation_of(written: Any, scope: Mapping[str, Any]) -> Any:
    """An annotation as an object, or `inspect.Parameter.empty` when it names what is only known to a type checker."""
    if not isinstance(written, str):
        return written

    def holder() -> None:
        """Carries the one annotation, so that another which cannot be read does no harm."""

    holder.__annotations__ = {"value": written}
    try:
        return typing.get_type_hints(holder, globalns={**vars(typing), **scope})["value"]
    except Exception:  # noqa: BLE001 - whatever an annotation does, it is only not judged
        return inspect.Parameter.empty
