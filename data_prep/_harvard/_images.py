"""One sample's arrays as a volume and a map of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from data_prep._harvard._person import ARRAYS, Person, read_person
from data_prep._harvard._release import Release
from data_prep._harvard._select import Selected
from data_prep._npz import Array, read_npz
from data_prep._output import OutputFolder
from data_prep._parallel import map_in_order
from data_prep._thickness import RECIPE as MAP_RECIPE
from data_prep._thickness import count, encode, read_map, write_map
from data_prep._volumes import RECIPE as VOLUME_RECIPE
from data_prep._volumes import volume_shape, write_volume
from medmd.io import RefusedError
from medmd.utils import progress, sha256_file

_SMALLEST, _LARGEST = 16, 1024
_LEAST_MEASURED = 0.1


@dataclass(frozen=True)
class Image:
    """A written image: its name in the output, its source's digest, its own digest, its size, and counts of a map."""

    name: str
    made_from: str
    sha256: str
    shape: tuple[int, ...]
    pixels: dict[str, int] = field(default_factory=dict)


@dataclass
class Converted:
    """A sample's person and images.

    Args:
        selected: the sample and its row of the summary table.
        person: what is known of the patient.
        images: input -> image, those that can be used.
        faults: input -> (reason, details), those that are there and cannot.
        reason: why the whole sample is set aside; None when it is used.
    """

    selected: Selected
    person: Person = field(default_factory=Person)
    images: dict[str, Image] = field(default_factory=dict)
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)
    reason: str | None = None


class _ImageFaultError(ValueError):
    def __init__(self, *, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def convert_samples(
    chosen: Sequence[Selected], release: Release, output: OutputFolder, *, workers: int
) -> list[Converted]:
    """Write the images of every sample, or take what an earlier run left; all are recorded in `output`.

    Args:
        chosen: what to convert.
        release: which arrays are which inputs.
        output: where to.
        workers: how many samples at a time; the result does not depend on it. Each holds one volume.
    """
    done = []
    work = map_in_order(partial(_convert, release=release, output=output), chosen, workers=workers)
    for converted in progress(work, total=len(chosen), description="samples", unit="sample"):
        for image in converted.images.values():
            output.record(image.name, made_from=image.made_from, sha256=image.sha256)
        done.append(converted)
    return done


def _convert(selected: Selected, *, release: Release, output: OutputFolder) -> Converted:
    converted = Converted(selected)
    try:
        # First the numbers: without an MD no image needs to be decompressed.
        arrays, objects = read_npz(selected.sample.path, ARRAYS)
        converted.person = read_person(arrays, selected.row, release)
        converted.reason = "array_needs_pickle" if "md" in objects else converted.person.fault
        if converted.reason is None:
            _add_images(converted, release, output)
    except RefusedError as refusal:
        converted.reason = refusal.reason
    return converted


def _add_images(converted: Converted, release: Release, output: OutputFolder) -> None:
    digest = sha256_file(converted.selected.sample.path)
    for name, array in release.arrays.items():
        _add_image(converted, name, partial(_make, name, array, digest, converted.selected, release, output))
    if not converted.images:
        reasons = sorted({reason for reason, _ in converted.faults.values()})
        converted.reason = reasons[0] if len(reasons) == 1 else "no_usable_image"


def _add_image(converted: Converted, name: str, make: Callable[[], Image | None]) -> None:
    try:
        image = make()
    except _ImageFaultError as fault:
        converted.faults[name] = fault.reason, fault.detail
    else:
        if image is not None:
            converted.images[name] = image


def _make(
    name: str, array: str, digest: str, selected: Selected, release: Release, output: OutputFolder
) -> Image | None:
    volume = name == "oct"
    folder, ending, recipe = ("oct", "nii.gz", VOLUME_RECIPE) if volume else ("rnfl_map", "png", MAP_RECIPE)
    file = f"{folder}/{selected.case_id}.{ending}"
    extent = "x".join(f"{value:g}" for value in release.field_mm) if volume else "um"
    made_from = f"{recipe}:{extent}:{digest}"
    sha256 = output.reusable(file, made_from=made_from)
    if sha256 is None:
        values = _array(selected, array)
        if values is None:
            return None
        path = output.path / file
        sha256 = _write_volume(values, release, path) if volume else _write_map(values, path)
    if volume:
        return Image(file, made_from, sha256, volume_shape(output.path / file))
    pixels = read_map(output.path / file)
    return Image(file, made_from, sha256, (pixels.shape[1], pixels.shape[0]), count(pixels))


def _array(selected: Selected, name: str) -> Array | None:
    arrays, objects = read_npz(selected.sample.path, [name])
    if objects:
        raise _ImageFaultError(reason="array_needs_pickle", detail="dtype object")
    return arrays.get(name)


def _write_volume(values: Array, release: Release, path: Any) -> str:
    if values.ndim != 3 or not all(_SMALLEST <= size <= _LARGEST for size in values.shape):
        raise _ImageFaultError(reason="oct_shape", detail=f"shape {values.shape}")
    slices, depth, along = values.shape
    if values.dtype.kind not in "biuf" or (values.dtype != np.uint8 and not all(map(_is_grey, values))):
        raise _ImageFaultError(
            reason="oct_values", detail=f"dtype {values.dtype.name}, expected whole numbers from 0 to 255"
        )
    if (values == values.flat[0]).all():
        raise _ImageFaultError(reason="oct_blank", detail="one value all over")
    spacing = tuple(extent / size for extent, size in zip(release.field_mm, (along, depth, slices), strict=True))
    return write_volume(path, _grey(values), count=slices, spacing_mm=spacing).sha256


def _is_grey(scan: npt.NDArray[Any]) -> bool:
    return bool(((scan >= 0) & (scan <= 255) & (scan == np.floor(scan))).all())


def _grey(values: Array) -> Iterator[npt.NDArray[np.uint8]]:
    return (scan.astype(np.uint8) for scan in values)


def _write_map(values: Array, path: Any) -> str:
    # The lab's own code reshapes the map to a square, so that it may lie there as one row of numbers.
    side = round(values.size**0.5)
    if values.ndim == 1 and side * side == values.size:
        values = values.reshape(side, side)
    if values.ndim != 2 or not all(_SMALLEST <= size <= _LARGEST for size in values.shape):
        raise _ImageFaultError(reason="map_shape", detail=f"shape {values.shape}")
    if values.dtype.kind not in "iuf":
        raise _ImageFaultError(reason="map_values", detail=f"dtype {values.dtype.name}, expected numbers")
    pixels = encode(values)
    found = count(pixels)["measured"]
    if found < _LEAST_MEASURED * pixels.size:
        raise _ImageFaultError(reason="map_empty", detail=f"{found} of {pixels.size} pixels measured")
    return write_map(path, pixels)
