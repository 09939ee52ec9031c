"""How an error says which case it is about."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any


def case_name(data: Mapping[Hashable, Any]) -> str:
    """`case 'abc'` from the item's pseudonym, or a plain word where an item has none."""
    return f"case {data['case_id']!r}" if data.get("case_id") is not None else "a case without case_id"
