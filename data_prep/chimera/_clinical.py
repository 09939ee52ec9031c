"""What the record of a patient tells a network, as numbers: each fact, and whether it is known."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_NUMBERS = (
    "age_at_prostatectomy", "primary_gleason", "secondary_gleason", "tertiary_gleason", "ISUP", "pre_operative_PSA",
    "positive_lymph_nodes", "capsular_penetration", "positive_surgical_margins", "invasion_seminal_vesicles",
    "lymphovascular_invasion",
)  # fmt: skip
_STAGE, _THERAPY = "pT_stage", "earlier_therapy"
FACTS = (*_NUMBERS, _STAGE, _THERAPY)
# In the order of the vector.
COMPONENTS = tuple(name for fact in FACTS for name in (fact, f"{fact}_known"))
_STAGE_TEXT = re.compile(r"p?T?(\d)([abc]?)", re.IGNORECASE)
_THERAPIES = frozenset({"radiotherapy", "hormones", "hormone", "cryotherapy", "brachytherapy"})
_BETWEEN = re.compile(r"\s*(?:[+,;/&]|\band\b)\s*")
_NO_THERAPY = ("none", "no")
# "unknow" is the release's own spelling.
_UNKNOWN = ("", "x", "nan", "unknown", "unknow")
_STEPS = {"": 0.0, "a": 0.1, "b": 0.2, "c": 0.3}


def clinical_vector(record: Mapping[str, Any]) -> list[float]:
    """The facts of a record, each followed by 1 when it is known and by 0 (with the fact 0) when it is not.

    A closed list: what tells of the outcome, such as `BCR` and `BCR_PSA`, is never among them. A stage `2a` is 2.1,
    `3b` 3.2; an earlier therapy of a closed list, or several such as `radiotherapy + hormones`, is 1, `none` is 0, and
    any other word tells nothing (`is_foreign_therapy`).
    """
    values = [_number(record.get(name)) for name in _NUMBERS]
    values += [_stage(record.get(_STAGE)), _therapy(record.get(_THERAPY))]
    return [part for value in values for part in ((0.0, 0.0) if value is None else (value, 1.0))]


def number_of(value: Any) -> float | None:
    """A finite number, also one written as a text, with a decimal comma or not; else None."""
    return _number(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None if value is None else float(value)
    try:
        found = float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _stage(value: Any) -> float | None:
    match = _STAGE_TEXT.fullmatch(str(value).strip())
    return int(match[1]) + _STEPS[match[2].lower()] if match else None


def is_foreign_therapy(record: Mapping[str, Any]) -> bool:
    """Whether the earlier therapy is told in words that stand neither for a therapy, for none nor for unknown."""
    value = record.get(_THERAPY)
    return value is not None and _word(value) not in _UNKNOWN and _therapy(value) is None


def _therapy(value: Any) -> float | None:
    word = _word(value)
    if word in _NO_THERAPY and value is not None:
        return 0.0
    return 1.0 if _THERAPIES.issuperset(_BETWEEN.split(word)) else None


def _word(value: Any) -> str:
    return str(value).strip().lower()
