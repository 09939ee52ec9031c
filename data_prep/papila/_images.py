"""The photographs of the eyes as PNG files of the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep._photographs import RECIPE, read_photograph, write_png
from data_prep.papila._select import Eye
from medmd.utils import MedmdError, progress, sha256_bytes


@dataclass
class Picture:
    """An eye and its PNG: `sha256` of the file, or `reason` and `detail` when it is set aside."""

    eye: Eye
    name: str
    made_from: str = ""
    sha256: str = ""
    reason: str | None = None
    detail: str = ""


def write_pictures(eyes: Sequence[Eye], output: OutputFolder, *, workers: int) -> list[Picture]:
    """Write `fundus/<case_id>.png` for every eye, or take what an earlier run left.

    Args:
        eyes: with their photographs.
        output: where to; what is written and used is recorded there.
        workers: how many photographs at a time; the result does not depend on it.

    Returns:
        A picture an eye, in the same order; those that cannot be used carry a reason.
    """
    work = map_in_order(partial(_write, output=output), eyes, workers=workers)
    pictures = []
    for picture in progress(work, total=len(eyes), description="photographs", unit="photograph"):
        if picture.reason is None:
            output.record(picture.name, made_from=picture.made_from, sha256=picture.sha256)
        pictures.append(picture)
    _set_aside_shared(pictures, output)
    return pictures


def _write(eye: Eye, *, output: OutputFolder) -> Picture:
    picture = Picture(eye, f"fundus/{eye.case_id}.png")
    try:
        data = eye.photograph.read_bytes()
        picture.made_from = f"{RECIPE}:{sha256_bytes(data)}"
        known = output.reusable(picture.name, made_from=picture.made_from)
        picture.sha256 = known or write_png(output.path / picture.name, read_photograph(data))
    except OSError as error:
        picture.reason, picture.detail = "photograph_unreadable", f"{type(error).__name__}: {error.strerror}"
    except MedmdError as error:
        picture.reason, picture.detail = "photograph_unreadable", str(error)
    return picture


def _set_aside_shared(pictures: Sequence[Picture], output: OutputFolder) -> None:
    owners: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.reason is None:
            owners.setdefault(picture.sha256, []).append(picture)
    for shared in owners.values():
        if len(shared) > 1:
            output.discard(picture.name for picture in shared)
            names = ", ".join(picture.eye.case_id for picture in shared)
            for picture in shared:
                picture.reason, picture.detail = "photograph_of_two_eyes", names
