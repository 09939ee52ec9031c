"""Which arguments a class or function takes, through the constructors that its `**kwargs` are handed on to."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass
class Arguments:
    """What may be given by name.

    Attributes:
        names: name → (annotation as it is written, module in which it is written).
        required: names that must be given.
        open: whether further names are taken, which are then not known.
    """

    names: dict[str, tuple[Any, Mapping[str, Any]]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    open: bool = False


def arguments_of(target: Any) -> Arguments | None:
    """The arguments of `target`, or `None` when they cannot be told."""
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError):
        return None
    found = Arguments()
    owner = _constructor(target) if inspect.isclass(target) else target
    spread = _add(found, list(signature.parameters.values()), owner, taken=set())
    found.open = spread is not None
    if inspect.isclass(target) and spread is not None:
        _follow(found, target, spread)
    return found


def _constructor(cls: type) -> Any:
    return next((vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)), cls)


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


def _follow(found: Arguments, cls: type, spread: str) -> None:
    """Go up the constructors as long as `**kwargs` go to `super().__init__` and nowhere else."""
    bases = [base for base in cls.__mro__ if "__init__" in vars(base) and base is not object]
    for position, base in enumerate(bases):
        call = _super_call(vars(base)["__init__"], spread)
        if call is None or position + 1 == len(bases):
            return
        constructor = vars(bases[position + 1])["__init__"]
        try:
            parameters = list(inspect.signature(constructor).parameters.values())[1:]
        except (ValueError, TypeError):
            return
        given = {parameter.name for parameter in parameters[: len(call.args)]}
        given |= {keyword.arg for keyword in call.keywords if keyword.arg}
        onwards = _add(found, parameters, constructor, given)
        if onwards is None:
            found.open = False
            return
        spread = onwards


def _super_call(constructor: Callable[..., Any], spread: str) -> ast.Call | None:
    """The call `super().__init__(…, **spread)`, when it is the only use of `spread`."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(constructor))))
    except (OSError, TypeError, SyntaxError):
        return None
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == spread]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
            handed = [keyword.value for keyword in node.keywords if keyword.arg is None]
            starred = any(isinstance(argument, ast.Starred) for argument in node.args)
            if len(uses) == 1 and handed == uses and not starred:
                return node
    return None


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
