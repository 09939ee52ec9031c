"""Whether a plain value fits an annotation, judged only where there can be no doubt."""

from __future__ import annotations

import collections.abc
import enum
import inspect
import types
import typing
from typing import Any

# Stands for a value that is known only when the configuration is run.
UNKNOWN = object()
_SEQUENCES = (list, tuple, set, frozenset)
_CALLABLE: Any = collections.abc.Callable
_PLAIN = (bool, int, float, str, list, dict, type(None))


def fits(value: Any, annotation: Any) -> bool | None:
    """Whether `value`, from JSON, may be given where `annotation` stands; `None` when that cannot be told."""
    if value is UNKNOWN or annotation is inspect.Parameter.empty:
        return None
    origin: Any = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return _any(fits(value, member) for member in typing.get_args(annotation))
    if origin is typing.Literal:
        return any(value == known and type(value) is type(known) for known in typing.get_args(annotation))
    if annotation is None or annotation is type(None):
        return value is None
    cls: Any = origin if isinstance(origin, type) else annotation
    if not isinstance(cls, type) or cls is object:
        return None
    return _fits_class(value, cls, typing.get_args(annotation))


def _fits_class(value: Any, cls: type, members: tuple[Any, ...]) -> bool | None:
    if cls in _SCALARS:
        return _SCALARS[cls](value)
    if issubclass(cls, enum.Enum):
        return None
    if cls is _CALLABLE:
        # A component may be callable; a plain value never is.
        return False
    if cls is collections.abc.Hashable:
        return None if isinstance(value, (list, dict)) else True
    if cls in (dict, collections.abc.Mapping, collections.abc.MutableMapping):
        return _fits_mapping(value, members)
    if cls in _SEQUENCES or cls in _ABSTRACT:
        return _fits_sequence(value, cls, members)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_SCALARS: dict[type, Any] = {
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: _is_number,
    str: lambda value: isinstance(value, str),
}
_ABSTRACT = (
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.MutableSequence,
)


def _fits_mapping(value: Any, members: tuple[Any, ...]) -> bool | None:
    if not isinstance(value, dict):
        return False
    return _all(fits(item, members[1]) for item in value.values()) if len(members) == 2 else True


def _fits_sequence(value: Any, cls: type, members: tuple[Any, ...]) -> bool | None:
    if isinstance(value, (str, dict)) and cls in _ABSTRACT:
        # A text is a sequence of texts, and a dictionary a collection of its keys.
        return None
    if not isinstance(value, (list, tuple)):
        return False
    if cls is tuple and len(members) == 2 and members[1] is Ellipsis:
        members = members[:1]
    if cls is tuple and len(members) == len(value):
        return _all(fits(item, member) for item, member in zip(value, members, strict=True))
    return _all(fits(item, members[0]) for item in value) if len(members) == 1 else None


def _any(judgements: typing.Iterable[bool | None]) -> bool | None:
    found = list(judgements)
    return True if True in found else None if None in found else False


def _all(judgements: typing.Iterable[bool | None]) -> bool | None:
    found = list(judgements)
    return False if False in found else None if None in found else True


def name_of(annotation: Any) -> str:
    """An annotation for a message."""
    origin = typing.get_origin(annotation)
    members = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(name_of(member) for member in members)
    if origin is typing.Literal:
        return " or ".join(repr(member) for member in members)
    if annotation is type(None):
        return "null"
    if isinstance(origin, type) and members:
        return f"{origin.__name__} of {' and '.join(name_of(member) for member in members if member is not Ellipsis)}"
    return getattr(annotation, "__name__", str(annotation))


def is_plain(value: Any) -> bool:
    """Whether a value is of a kind that JSON knows."""
    return isinstance(value, _PLAIN)
