"""What a setting of the site file may be: each kind of value with the words for it and the check."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LONGEST_SHOWN = 40


class UnfitError(ValueError):
    """A value is not of the kind; the text, if any, helps further."""


@dataclass(frozen=True)
class Kind:
    """A kind of value.

    Args:
        expected: in words, for messages and the reference page.
        read: turns what YAML gives into the setting's value; raises `UnfitError`.
    """

    expected: str
    read: Callable[[Any], Any]


def setting(default: Any, doc: str, kind: Kind) -> Any:
    """Declare a field of a section: its default, what it means, and what it may be."""
    metadata = {"doc": doc, "kind": kind}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def number(low: float = -math.inf, high: float = math.inf) -> Kind:
    """A finite number within bounds, both included."""

    def read(raw: Any) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            raise UnfitError
        return float(_within(raw, low, high))

    return Kind(f"a number{_bounds(low, high)}", read)


def whole(low: float = -math.inf, high: float = math.inf) -> Kind:
    """A whole number within bounds, both included."""

    def read(raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise UnfitError
        return int(_within(raw, low, high))

    return Kind(f"a whole number{_bounds(low, high)}", read)


def span(low: float, high: float) -> Kind:
    """Two numbers in rising order."""

    def read(raw: Any) -> tuple[float, float]:
        if not isinstance(raw, list) or len(raw) != 2:
            raise UnfitError
        first, last = (number(low, high).read(value) for value in raw)
        if first >= last:
            raise UnfitError
        return first, last

    return Kind(f"two numbers in rising order{_bounds(low, high)}, such as [{low:g}, {high:g}]", read)


def flag() -> Kind:
    """True or false."""

    def read(raw: Any) -> bool:
        if not isinstance(raw, bool):
            raise UnfitError
        return raw

    return Kind("`true` or `false`", read)


def text() -> Kind:
    """A text that is not empty."""

    def read(raw: Any) -> str:
        if not isinstance(raw, str) or not raw.strip():
            hint = "put it in quotes" if isinstance(raw, bool | int | float) else ""
            raise UnfitError(hint)
        return raw

    return Kind("a text", read)


def choice(*words: str) -> Kind:
    """One of some words."""

    def read(raw: Any) -> str:
        if raw not in words:
            raise UnfitError(did_you_mean(raw, words))
        return str(raw)

    return Kind("one of " + ", ".join(f"`{word}`" for word in words), read)


def some_of(*words: str, least: int = 0) -> Kind:
    """A list of different words out of some."""
    one = choice(*words)

    def read(raw: Any) -> tuple[str, ...]:
        if not isinstance(raw, list) or len(raw) < least:
            raise UnfitError
        found = tuple(one.read(word) for word in raw)
        if len(set(found)) != len(found):
            hint = "a word stands there twice"
            raise UnfitError(hint)
        return found

    return Kind("a list of " + ", ".join(f"`{word}`" for word in words) + (", not empty" if least else ""), read)


def or_none(kind: Kind) -> Kind:
    """The same, or `null`."""
    return Kind(f"{kind.expected}, or `null`", lambda raw: None if raw is None else kind.read(raw))


def named(names: Sequence[str], kind: Kind, *, expected: str) -> Kind:
    """A mapping of known names to values of one kind."""

    def read(raw: Any) -> Mapping[str, Any]:
        if not isinstance(raw, dict):
            raise UnfitError
        for name in raw:
            if name not in names:
                hint = f"`{shown(name)}` is not known{_sentence(did_you_mean(name, names))}"
                raise UnfitError(hint)
        return {name: _entry(kind, name, value) for name, value in raw.items()}

    return Kind(expected, read)


def translation(codes: Sequence[str] | None = None) -> Kind:
    """A mapping of what stands in a table to one of our words; keys may be numbers, which YAML reads as such."""

    def read(raw: Any) -> Mapping[str, str]:
        if not isinstance(raw, dict) or not raw:
            raise UnfitError
        known = choice(*codes) if codes is not None else text()
        # The keys are cells of a table: a message names our word only.
        return {str(key).strip().casefold(): known.read(value) for key, value in raw.items()}

    return Kind("a mapping", read)


def did_you_mean(wrong: Any, words: Sequence[str]) -> str:
    """A hint to the nearest of `words`, or nothing when none is near."""
    near = difflib.get_close_matches(str(wrong), words, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def shown(raw: Any) -> str:
    """A value of the site file, short enough for a message."""
    if raw is None:
        return "null"
    if isinstance(raw, dict | list):
        return "a mapping" if isinstance(raw, dict) else f"a list of {len(raw)}"
    words = str(raw).lower() if isinstance(raw, bool) else str(raw)
    return words if len(words) <= _LONGEST_SHOWN else words[:_LONGEST_SHOWN] + "…"


def _entry(kind: Kind, name: str, value: Any) -> Any:
    try:
        return kind.read(value)
    except UnfitError as error:
        hint = f"at `{name}` stands {shown(value)}, expected {kind.expected}{_sentence(str(error))}"
        raise UnfitError(hint) from None


def _within(raw: float, low: float, high: float) -> float:
    if not low <= raw <= high:
        raise UnfitError
    return raw


def _bounds(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" from {low:g} to {high:g}"
    return f" of at least {low:g}" if math.isfinite(low) else ""


def _sentence(hint: str) -> str:
    return f"; {hint}" if hint else ""
