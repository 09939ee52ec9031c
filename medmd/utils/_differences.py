"""What differs between two pieces of plain data, in words."""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 60


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Where two nested structures differ, as `place#below (old -> new)`.

    Args:
        old: dictionaries, lists and literals.
        new: as `old`. A name that only one of the two has counts as `null` in the other.
        where: the place of both, put in front.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(str(name), old.get(name), new.get(name)) for name in {**old, **new}]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(str(place), *pair) for place, pair in enumerate(zip(old, new, strict=True))]
    else:
        return [] if _text(old) == _text(new) else [f"{where} ({_short(old)} -> {_short(new)})"]
    return [line for name, a, b in pairs for line in differences(a, b, f"{where}#{name}" if where else name)]


def _text(value: Any) -> str:
    return json.dumps(value, default=str)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
