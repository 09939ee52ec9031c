"""The same content twice: copies of one examination, and pixels that stand under several patients or both eyes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

from data_prep.hospital._facts import Examination

ACROSS_PATIENTS = "identical-content-across-patients"
BOTH_EYES = "identical-content-both-eyes"
COPY = "same-content"


def find_duplicates(examinations: Sequence[Examination]) -> tuple[dict[str, str], dict[str, str]]:
    """What is left out because its content stands elsewhere.

    Images are the same when their pixels are; visual fields when patient, eye, day and every number are. Under several
    patients, or under both eyes of one, nobody can tell whose it is, so none is used. Other copies are merged into the
    one of the earliest day, which is no copy's later date; then the first name.

    Returns:
        Name of an examination -> reason; and name of a merged copy -> name of the one that stays.
    """
    groups: dict[Hashable, list[Examination]] = defaultdict(list)
    for examination in sorted(examinations, key=lambda each: (each.day, each.name)):
        groups[_content(examination)].append(examination)
    reasons: dict[str, str] = {}
    merged: dict[str, str] = {}
    for first, *others in groups.values():
        if any(other.patient != first.patient for other in others):
            reasons |= {each.name: ACROSS_PATIENTS for each in (first, *others)}
        elif any(other.laterality != first.laterality for other in others):
            reasons |= {each.name: BOTH_EYES for each in (first, *others)}
        else:
            reasons |= {other.name: COPY for other in others}
            merged |= {other.name: first.name for other in others}
    return reasons, merged


def _content(examination: Examination) -> Hashable:
    if examination.kind != "vf":
        # Without a digest nothing is known to be equal.
        return ("image", examination.kind, examination.content or examination.name)
    return (
        "vf", examination.patient, examination.laterality, examination.day, examination.md, examination.pattern,
        examination.strategy, examination.fixation_losses, examination.false_positives, examination.false_negatives,
    )  # fmt: skip
