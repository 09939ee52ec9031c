"""Writing the images that go out: read again, checked to be the same, and made anew from their pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep import _photographs, _volumes
from data_prep.hospital._facts import Examination
from data_prep.hospital._scan import one_volume, pixel_digest

if TYPE_CHECKING:
    from medmd.io import Record

# Part of a file's origin in the journal: raise it when the masking of photographs changes.
_MASK = "circle-1"
# Stands in the file where the export does not say the distance; the datalist says which are known.
UNKNOWN_MM = 1.0
FOLDERS = {"oct": "oct", "fundus": "fundus"}
_ENDINGS = {"oct": ".nii.gz", "fundus": ".png"}


@dataclass(frozen=True, kw_only=True)
class Output:
    """An image to write.

    Args:
        name: of the file, relative to the output folder.
        target: its place.
        number: which record of the file it is.
        content: digest of the pixels that are expected.
        spacing: of a volume, as the examination has it.
    """

    name: str
    target: Path = field(repr=False)
    number: int
    content: str
    spacing: tuple[float | None, float | None, float | None] = (None, None, None)


@dataclass(frozen=True, kw_only=True)
class WriteTask:
    """What is to be written from one file.

    Args:
        path: of the file.
        outputs: its images that go out.
    """

    path: Path = field(repr=False)
    outputs: tuple[Output, ...]


@dataclass(frozen=True, kw_only=True)
class Written:
    """An image that was written, or why it was not.

    Args:
        name: of the file.
        sha256: of its bytes; empty when there is none.
        reason: why there is none.
    """

    name: str
    sha256: str = ""
    reason: str | None = None


def image_name(examination: Examination, pseudonym: str) -> str:
    """Name of an image's file, relative to the output folder."""
    return f"{FOLDERS[examination.kind]}/{pseudonym}{_ENDINGS[examination.kind]}"


def made_from(examination: Examination) -> str:
    """From what an image is made: equal texts mean equal bytes."""
    if examination.kind == "oct":
        return f"{_volumes.RECIPE}:{examination.content}:{spacing_mm(examination.spacing)}"
    return f"{_photographs.RECIPE}:{_MASK}:{examination.content}"


def spacing_mm(spacing: tuple[float | None, float | None, float | None]) -> tuple[float, float, float]:
    """Along-scan, depth and between slices in mm, with a stand-in for what is not known."""
    between, depth, along = (value if value and value > 0 else UNKNOWN_MM for value in spacing)
    return along, depth, between


def write_images(task: WriteTask) -> tuple[Written, ...]:
    """Write the images of one file.

    Raises:
        MedmdError: the output's disk is full or the like.
    """
    from medmd.io import RefusedError, read_all

    with one_volume():
        try:
            records: list[Any] = read_all(task.path)
        except (RefusedError, OSError):
            return tuple(Written(name=output.name, reason="changed-while-read") for output in task.outputs)
        wanted = {output.number for output in task.outputs}
        # What is not asked for makes room.
        records = [record if number in wanted else None for number, record in enumerate(records)]
        return tuple(_written(output, records) for output in task.outputs)


def lost(task: WriteTask) -> tuple[Written, ...]:
    """What is said of a file over which workers died."""
    return tuple(Written(name=output.name, reason="worker-died") for output in task.outputs)


def _written(output: Output, records: list[Record | None]) -> Written:
    record: Any = records[output.number] if output.number < len(records) else None
    if record is None or not hasattr(record, "pixels") or pixel_digest(record.pixels) != output.content:
        return Written(name=output.name, reason="changed-while-read")
    pixels = record.pixels
    if output.name.endswith(_ENDINGS["oct"]):
        volume = _volumes.write_volume(
            output.target, iter(pixels), count=len(pixels), spacing_mm=spacing_mm(output.spacing)
        )
        return Written(name=output.name, sha256=volume.sha256)
    from PIL import Image

    return Written(name=output.name, sha256=_photographs.write_png(output.target, Image.fromarray(masked(pixels))))


def masked(pixels: Any) -> Any:
    """A copy of a photograph (rows, columns, 3) that is black outside the camera's round field.

    Cameras and viewers write names and dates into the corners. Where no round field is seen, the ellipse that touches
    all four sides stands for it.
    """
    import numpy as np

    from medmd.transforms import circle_mask, fit_fundus_circle

    rows, columns = pixels.shape[:2]
    circle = fit_fundus_circle(np.moveaxis(pixels, -1, 0))
    if circle is not None:
        inside = circle_mask(circle, (rows, columns))
    else:
        row, column = np.ogrid[:rows, :columns]
        inside = ((2 * row + 1) / rows - 1) ** 2 + ((2 * column + 1) / columns - 1) ** 2 <= 1
    return np.where(inside[..., None], pixels, np.uint8(0))
