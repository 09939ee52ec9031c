"""Photographs of a release as PNG files of the output, several at a time, with what cannot be used set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep._photographs import RECIPE, read_photograph, write_png
from medmd.utils import MedmdError, progress, sha256_bytes

UNREADABLE = "photograph_unreadable"

T = TypeVar("T")


@dataclass
class Picture(Generic[T]):
    """A photograph and its PNG: `sha256` of the PNG, or `reason` and `detail` when it is set aside.

    Args:
        item: what it belongs to.
        source: the photograph.
        name: the PNG below the output.
    """

    item: T
    source: Path
    name: str
    made_from: str = ""
    sha256: str = ""
    reason: str | None = None
    detail: str = ""


def write_pictures(pictures: Sequence[Picture[T]], output: OutputFolder, *, workers: int) -> list[Picture[T]]:
    """Write the PNG of every picture, or take what an earlier run left.

    Args:
        pictures: without a reason; `made_from`, `sha256`, `reason` and `detail` are filled in.
        output: where to; what is written and used is recorded there.
        workers: how many photographs at a time; the result does not depend on it.

    Returns:
        The same pictures, in the same order; unreadable ones carry a reason.
    """
    work = map_in_order(partial(_write, output=output), pictures, workers=workers)
    done = []
    for picture in progress(work, total=len(pictures), description="photographs", unit="photograph"):
        if picture.reason is None:
            output.record(picture.name, made_from=picture.made_from, sha256=picture.sha256)
        done.append(picture)
    return done


def equal_pictures(pictures: Sequence[Picture[T]]) -> list[list[Picture[T]]]:
    """Groups of usable pictures with equal pixels, in order."""
    groups: dict[str, list[Picture[T]]] = {}
    for picture in pictures:
        if picture.reason is None:
            groups.setdefault(picture.sha256, []).append(picture)
    return [group for group in groups.values() if len(group) > 1]


def set_aside_shared(
    pictures: Sequence[Picture[T]], output: OutputFolder, *, owner: Callable[[T], object], reason: str
) -> list[list[Picture[T]]]:
    """Give `reason` to every picture that stands for several owners, and take it out of the output.

    Returns:
        The groups that were set aside.
    """
    shared = [group for group in equal_pictures(pictures) if len({owner(each.item) for each in group}) > 1]
    for group in shared:
        output.discard(picture.name for picture in group)
        for picture in group:
            picture.reason = reason
    return shared


def _write(picture: Picture[T], *, output: OutputFolder) -> Picture[T]:
    try:
        data = picture.source.read_bytes()
        picture.made_from = f"{RECIPE}:{sha256_bytes(data)}"
        known = output.reusable(picture.name, made_from=picture.made_from)
        picture.sha256 = known or write_png(output.path / picture.name, read_photograph(data))
    except OSError as error:
        picture.reason, picture.detail = UNREADABLE, f"{type(error).__name__}: {error.strerror}"
    except MedmdError as error:
        picture.reason, picture.detail = UNREADABLE, str(error)
    return picture
