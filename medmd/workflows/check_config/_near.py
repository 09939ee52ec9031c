"""Names that resemble one another."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

_ALIKE = 0.6


def nearest(name: str, names: Iterable[Any], cutoff: float = _ALIKE) -> str | None:
    """The one of `names` that is most like `name`, or `None`. Case counts for little."""
    known = sorted({str(candidate) for candidate in names} - {name})
    found = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    if found:
        return found[0]
    lower = {candidate.lower(): candidate for candidate in known}
    alike = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return lower[alike[0]] if alike else None


def did_you_mean(name: str | None) -> str:
    """A sentence for a fix, or nothing."""
    return f"did you mean {name}?" if name else ""
