"""One eye's files as one volume and one photograph of the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep._photographs import RECIPE as PHOTOGRAPH_RECIPE
from data_prep._photographs import read_photograph, write_png
from data_prep._volumes import RECIPE as VOLUME_RECIPE
from data_prep._volumes import volume_shape, write_volume
from data_prep.stage2._labels import Person
from data_prep.stage2._slices import ImageFaultError, decode_slices, in_order
from data_prep.stage2._tree import EyeFiles, File
from medmd.utils import MedmdError, progress, sha256_bytes

# The releases state no geometry. A 3 x 3 mm macular cube and 2.6 micrometres in depth are those of GAMMA's scanner.
SCAN_MM = (3.0, 3.0)
DEPTH_MM = 0.0026


@dataclass(frozen=True, kw_only=True)
class Eye:
    """An eye to convert: its names, files, label and what is known of the person."""

    case_id: str
    part: str
    files: EyeFiles
    target: float | None
    person: Person


@dataclass(frozen=True)
class Image:
    """A written image: its name in the output, its source's digest, its own digest and its size in pixels."""

    name: str
    made_from: str
    sha256: str
    shape: tuple[int, ...]


@dataclass
class Converted:
    """An eye's images, None where there is none, and why files were set aside.

    Args:
        eye: the eye.
        oct: the volume.
        fundus: the photograph.
        faults: (reason, files, details) of images that cannot be used.
    """

    eye: Eye
    oct: Image | None = None
    fundus: Image | None = None
    faults: list[tuple[str, list[File], str]] = field(default_factory=list)


def convert_eyes(
    eyes: Sequence[Eye], output: OutputFolder, *, spacing_mm: Sequence[float] | None, workers: int
) -> list[Converted]:
    """Write the images of every eye, or take what an earlier run left; all are recorded in `output`.

    Args:
        eyes: what to convert.
        output: where to.
        spacing_mm: along-scan, depth, between slices; None assumes `SCAN_MM` and `DEPTH_MM`.
        workers: how many eyes at a time; the result does not depend on it. Each holds the files of one eye and one
            decoded image.
    """
    done = []
    work = map_in_order(partial(_convert, output=output, spacing_mm=spacing_mm), eyes, workers=workers)
    for converted in progress(work, total=len(eyes), description="eyes", unit="eye"):
        for image in (converted.oct, converted.fundus):
            if image is not None:
                output.record(image.name, made_from=image.made_from, sha256=image.sha256)
        done.append(converted)
    return done


def _convert(eye: Eye, *, output: OutputFolder, spacing_mm: Sequence[float] | None) -> Converted:
    converted = Converted(eye)
    if eye.files.slices:
        try:
            converted.oct = _volume(eye, output, spacing_mm)
        except ImageFaultError as fault:
            converted.faults.append((fault.reason, [file for _, file in eye.files.slices], fault.detail))
    if eye.files.fundus:
        try:
            converted.fundus = _photograph(eye, output)
        except ImageFaultError as fault:
            converted.faults.append((fault.reason, eye.files.fundus, fault.detail))
    return converted


def _volume(eye: Eye, output: OutputFolder, spacing_mm: Sequence[float] | None) -> Image:
    name = f"oct/{eye.case_id}.nii.gz"
    contents = [_read(file, "slice_unreadable") for file in in_order(eye.files.slices)]
    digest = sha256_bytes("".join(map(sha256_bytes, contents)).encode())
    made_from = f"{VOLUME_RECIPE}:{_spacing_text(spacing_mm)}:{digest}"
    sha256 = output.reusable(name, made_from=made_from)
    if sha256 is not None:
        return Image(name, made_from, sha256, volume_shape(output.path / name))
    slices = decode_slices(contents)
    spacing = _spacing(contents, spacing_mm)
    volume = write_volume(output.path / name, slices, count=len(contents), spacing_mm=spacing)
    return Image(name, made_from, volume.sha256, volume.shape)


def _photograph(eye: Eye, output: OutputFolder) -> Image:
    if len(eye.files.fundus) > 1:
        raise ImageFaultError(reason="fundus_twice", detail=f"{len(eye.files.fundus)} photographs")
    name = f"fundus/{eye.case_id}.png"
    data = _read(eye.files.fundus[0], "fundus_unreadable")
    made_from = f"{PHOTOGRAPH_RECIPE}:{sha256_bytes(data)}"
    sha256 = output.reusable(name, made_from=made_from)
    if sha256 is None:
        try:
            sha256 = write_png(output.path / name, read_photograph(data))
        except MedmdError as error:
            raise ImageFaultError(reason="fundus_unreadable", detail=str(error)) from error
    return Image(name, made_from, sha256, _png_size(output, name))


def _read(file: File, reason: str) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise ImageFaultError(reason=reason, detail=f"{type(error).__name__}: {error.strerror}") from error


def _spacing(contents: Sequence[bytes], given: Sequence[float] | None) -> tuple[float, float, float]:
    if given is not None:
        along, depth, across = given
        return along, depth, across
    columns = next(decode_slices(contents[:1])).shape[1]
    return SCAN_MM[0] / columns, DEPTH_MM, SCAN_MM[1] / len(contents)


def _spacing_text(given: Sequence[float] | None) -> str:
    return "assumed" if given is None else "x".join(f"{value:g}" for value in given)


def _png_size(output: OutputFolder, name: str) -> tuple[int, ...]:
    from PIL import Image as Pillow

    with Pillow.open(output.path / name) as file:
        return int(file.width), int(file.height)


def as_facts(shapes: Sequence[tuple[int, ...]]) -> list[dict[str, Any]]:
    """How often each size occurs, the most frequent first."""
    counts: dict[tuple[int, ...], int] = {}
    for shape in shapes:
        counts[shape] = counts.get(shape, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"size": list(shape), "count": count} for shape, count in ordered]
