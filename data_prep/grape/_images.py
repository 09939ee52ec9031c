"""The photographs of the candidates as PNG files of the output, and pictures that stand there more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep._photographs import RECIPE, read_photograph, write_png
from data_prep.grape._select import Candidate
from medmd.utils import MedmdError, progress, sha256_bytes

_UNREADABLE = "photograph_unreadable"
_SHARED = "photograph_of_two_subjects"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A candidate and its PNG: `sha256` of the file, or `reason` and `detail` when it is set aside."""

    candidate: Candidate
    name: str
    made_from: str
    sha256: str = ""
    reason: str | None = None
    detail: str = ""


def write_pictures(candidates: Sequence[Candidate], output: OutputFolder, *, workers: int) -> list[Picture]:
    """Write `images/<case_id>.png` for every candidate, or take what an earlier run left.

    Args:
        candidates: visits with their photographs.
        output: where to.
        workers: how many photographs at a time; the result does not depend on it.

    Returns:
        A picture a candidate, in the same order; unreadable ones carry a reason. All others are recorded in `output`.
    """
    pictures = []
    work = map_in_order(partial(_write, output=output), candidates, workers=workers)
    for picture in progress(work, total=len(candidates), description="photographs", unit="photograph"):
        if picture.reason is None:
            output.record(picture.name, made_from=picture.made_from, sha256=picture.sha256)
        pictures.append(picture)
    return pictures


def duplicates(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Groups of readable pictures with equal pixels, in order."""
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.reason is None:
            groups.setdefault(picture.sha256, []).append(picture)
    return [group for group in groups.values() if len(group) > 1]


def set_aside_shared(pictures: Sequence[Picture], output: OutputFolder) -> list[Picture]:
    """Give a reason to every picture that stands for more than one subject and take it out of the output."""
    shared = {
        picture.sha256
        for group in duplicates(pictures)
        if len({picture.candidate.visit.subject for picture in group}) > 1
        for picture in group
    }
    output.discard(picture.name for picture in pictures if picture.sha256 in shared)
    return [
        replace(picture, reason=_SHARED, sha256="") if picture.sha256 in shared else picture for picture in pictures
    ]


def _write(candidate: Candidate, *, output: OutputFolder) -> Picture:
    name = f"images/{candidate.visit.case_id}.png"
    try:
        data = candidate.photograph.read_bytes()
    except OSError as error:
        return _unreadable(candidate, name, f"{type(error).__name__}: {error.strerror}")
    made_from = f"{RECIPE}:{sha256_bytes(data)}"
    sha256 = output.reusable(name, made_from=made_from)
    if sha256 is None:
        try:
            sha256 = write_png(output.path / name, read_photograph(data))
        except MedmdError as error:
            return _unreadable(candidate, name, str(error))
    return Picture(candidate=candidate, name=name, made_from=made_from, sha256=sha256)


def _unreadable(candidate: Candidate, name: str, detail: str) -> Picture:
    return Picture(candidate=candidate, name=name, made_from="", reason=_UNREADABLE, detail=detail)
