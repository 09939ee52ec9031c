"""In which order the frames of an OCT object are scanned, and how far apart their voxels are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medmd.io._binary import EXPORT_AGAIN, millimetres
from medmd.io._dicom_values import first, integer, number, numbers, text
from medmd.io._records import Spacing
from medmd.io._refusal import RefusedError

# Distances between slices may differ by this share of their mean.
UNEVEN = 0.05
# Positions nearer than this, in mm, are one position.
_SAME = 1e-6


class Frame(NamedTuple):
    """What a file says of one frame; None where it says nothing.

    Args:
        stack: text that names the stack. Not to be shown: a device may have put anything there.
        number: place within the stack, from 1.
        position: of the first voxel, in mm.
        orientation: directions of rows and columns, six numbers.
        in_plane: mm in depth and along the scan.
    """

    stack: str | None
    number: int | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    in_plane: tuple[float, float] | None


class Stack(NamedTuple):
    """Frames of one volume in the order of the scan.

    Args:
        frames: numbers of the stored frames.
        spacing: mm between voxels.
        warnings: codes, see `order`.
    """

    frames: list[int]
    spacing: Spacing
    warnings: tuple[str, ...]


def frame_of(group: Dataset | None, shared: Dataset | None) -> Frame:
    """A frame by its own group, or by the shared one where its own says nothing."""
    content = first(group, "FrameContentSequence")
    position = _numbers((group, shared), ("PlanePositionSequence",), "ImagePositionPatient", 3)
    orientation = _numbers((group, shared), ("PlaneOrientationSequence",), "ImageOrientationPatient", 6)
    in_plane = _numbers((group, shared), ("PixelMeasuresSequence",), "PixelSpacing", 2)
    return Frame(
        None if content is None else text(content, "StackID"),
        None if content is None else integer(content, "InStackPositionNumber"),
        position,
        orientation,
        None if in_plane is None else (in_plane[0], in_plane[1]),
    )


def stacks(
    frames: Sequence[Frame], *, fallback: float | None, in_plane: tuple[float, float] | None, flat: bool
) -> list[Stack]:
    """Volumes in the file.

    By stack and position in the stack; otherwise by place along the normal of the slices; otherwise as stored, with
    the warning `order-assumed`.

    Args:
        frames: as stored.
        fallback: mm between slices where positions do not say, taken with the warning `slice-distance-assumed`.
        in_plane: mm in depth and along the scan, where frames do not say.
        flat: whether the slices are parallel by the scan pattern. Only then there is one distance between them.

    Raises:
        RefusedError: a frame is there twice or missing, spacing differs between frames, or slices lie at distances
            that differ by more than 5 %.
    """
    known = [frame.stack is not None and frame.number is not None for frame in frames]
    names = list(dict.fromkeys(frame.stack for frame in frames))
    meaningful = all(known) and (len(names) < len(frames) or len(frames) == 1)
    if not meaningful:
        groups = [list(range(len(frames)))]
    else:
        groups = [[i for i, frame in enumerate(frames) if frame.stack == name] for name in _sorted(names)]
    return [
        _stack(frames, group, meaningful=meaningful, fallback=fallback, in_plane=in_plane, flat=flat)
        for group in groups
    ]


def _sorted(names: list[Any]) -> list[Any]:
    return sorted(names, key=int) if all(name.isascii() and name.isdigit() for name in names) else names


def _stack(
    frames: Sequence[Frame],
    group: list[int],
    *,
    meaningful: bool,
    fallback: float | None,
    in_plane: tuple[float, float] | None,
    flat: bool,
) -> Stack:
    if meaningful:
        group = _by_number(frames, group)
    places = _places([frames[i] for i in group]) if flat else None
    warnings = []
    if not meaningful:
        if places is None:
            warnings.append("order-assumed")
        else:
            order = np.argsort(places, kind="stable")
            group, places = [group[i] for i in order], places[order]
    between = _distance(places)
    if between is None and fallback is not None and flat and len(group) > 1:
        between = fallback
        warnings.append("slice-distance-assumed")
    return Stack(group, Spacing(between, *_in_plane([frames[i] for i in group], in_plane)), tuple(warnings))


def _by_number(frames: Sequence[Frame], group: list[int]) -> list[int]:
    ordered = sorted(group, key=lambda i: frames[i].number or 0)
    found = [frames[i].number or 0 for i in ordered]
    if any(before == after for before, after in pairwise(found)):
        detail = "Two frames claim the same place in their stack."
        raise RefusedError(reason="frames-twice", detail=detail, fix=EXPORT_AGAIN)
    if found[-1] - found[0] + 1 != len(found) or found[0] > 1:
        detail = f"{len(found)} frames are numbered from {found[0]} to {found[-1]}."
        raise RefusedError(reason="frames-missing", detail=detail, fix=EXPORT_AGAIN)
    return ordered


def _places(frames: Sequence[Frame]) -> npt.NDArray[np.float64] | None:
    """Distance of each slice along the common normal, in mm; None without one, or when slices lie at one place."""
    if len(frames) < 2 or any(frame.position is None or frame.orientation is None for frame in frames):
        return None
    directions = np.array([frame.orientation for frame in frames])
    if np.ptp(directions, axis=0).max() > 1e-3:
        return None
    normal = np.cross(directions[0, :3], directions[0, 3:])
    length = np.linalg.norm(normal)
    if length < 0.5:
        return None
    places: npt.NDArray[np.float64] = np.array([frame.position for frame in frames]) @ (normal / length)
    return None if np.ptp(places) < _SAME else places


def _distance(places: npt.NDArray[np.float64] | None) -> float | None:
    if places is None:
        return None
    steps = np.diff(places)
    mean = float(steps.mean())
    if abs(mean) < _SAME or np.abs(steps - mean).max() > UNEVEN * abs(mean):
        detail = (
            f"{len(places)} slices lie {np.abs(steps).min():.4f} to {np.abs(steps).max():.4f} mm apart, or not in the "
            "order of their numbers."
        )
        raise RefusedError(
            reason="spacing-uneven", detail=detail, fix="Export a scan with parallel, evenly spaced slices."
        )
    # To the nanometre, so that the direction in which frames are stored changes nothing.
    return millimetres(round(abs(mean), 6))


def _in_plane(frames: Sequence[Frame], fallback: tuple[float, float] | None) -> tuple[float | None, float | None]:
    found = {frame.in_plane or fallback for frame in frames}
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        return None, None
    values = np.array(pairs)
    if len(pairs) < len(found) or np.ptp(values, axis=0).max() > UNEVEN * values.min():
        detail = "The frames of one volume differ in their pixel spacing, or some have none."
        raise RefusedError(reason="spacing-varies", detail=detail, fix=EXPORT_AGAIN)
    return millimetres(pairs[0][0]), millimetres(pairs[0][1])


def _numbers(
    groups: Sequence[Dataset | None], path: tuple[str, ...], keyword: str, count: int
) -> tuple[float, ...] | None:
    for group in groups:
        place = first(group, *path)
        found = [] if place is None else numbers(place, keyword)
        if len(found) == count:
            return tuple(found)
    return None


def slice_distance(header: Dataset, groups: Sequence[Dataset | None]) -> float | None:
    """Mm between slices where positions do not say: spacing between slices, otherwise slice thickness."""
    places = [first(group, "PixelMeasuresSequence") for group in groups]
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        for place in (*places, header):
            found = None if place is None else millimetres(number(place, keyword))
            if found is not None:
                return found
    return None
