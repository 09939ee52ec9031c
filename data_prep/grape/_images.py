"""The photographs of the candidates as PNG files of the output."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep._output import OutputFolder
from data_prep._pictures import Picture as AnyPicture
from data_prep._pictures import write_pictures as write_all
from data_prep.grape._select import Candidate

SHARED = "photograph_of_two_subjects"
Picture = AnyPicture[Candidate]


def write_pictures(candidates: Sequence[Candidate], output: OutputFolder, *, workers: int) -> list[Picture]:
    """Write `images/<case_id>.png` for every candidate, or take what an earlier run left.

    Args:
        candidates: visits with their photographs.
        output: where to; what is written and used is recorded there.
        workers: how many photographs at a time; the result does not depend on it.

    Returns:
        A picture a candidate, in the same order; unreadable ones carry a reason.
    """
    asked = [
        Picture(candidate, candidate.photograph, f"images/{candidate.visit.case_id}.png") for candidate in candidates
    ]
    return write_all(asked, output, workers=workers)


def subject(candidate: Candidate) -> int:
    """Whose photograph it is."""
    return candidate.visit.subject
