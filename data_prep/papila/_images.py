"""The photographs of the eyes as PNG files of the output."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep._output import OutputFolder
from data_prep._pictures import Picture as AnyPicture
from data_prep._pictures import set_aside_shared
from data_prep._pictures import write_pictures as write_all
from data_prep.papila._select import Eye

Picture = AnyPicture[Eye]


def write_pictures(eyes: Sequence[Eye], output: OutputFolder, *, workers: int) -> list[Picture]:
    """Write `fundus/<case_id>.png` for every eye, or take what an earlier run left.

    Args:
        eyes: with their photographs.
        output: where to; what is written and used is recorded there.
        workers: how many photographs at a time; the result does not depend on it.

    Returns:
        A picture an eye, in the same order; those that cannot be used carry a reason.
    """
    asked = [Picture(eye, eye.photograph, f"fundus/{eye.case_id}.png") for eye in eyes]
    pictures = write_all(asked, output, workers=workers)
    for shared in set_aside_shared(pictures, output, owner=_case_id, reason="photograph_of_two_eyes"):
        names = ", ".join(picture.item.case_id for picture in shared)
        for picture in shared:
            picture.detail = names
    return pictures


def _case_id(eye: Eye) -> str:
    return eye.case_id
