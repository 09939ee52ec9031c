"""A synthetic PACS export: nested folders, files without extensions, a DICOMDIR, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
from clinical_dicom import bscans, fundus, oct_volume, photograph, visual_field
from clinical_dicom_common import Person, as_bytes, item
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import DIRECTORY_RECORDERS, FileInstance, FileSet
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit


@dataclass(frozen=True, kw_only=True)
class Eye:
    """What to write of one eye; None leaves a kind out."""

    person: Person
    laterality: str
    md: float
    oct_day: date | None = date(2021, 5, 6)
    photo_day: date | None = date(2021, 5, 6)
    field_day: date | None = date(2021, 6, 1)
    pattern: str = "24-2"
    false_positives: float = 4.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class WrittenEye:
    """What was written of one eye.

    Args:
        eye: as asked for.
        oct: (slices, depth, along-scan) in the order of the scan; stored shuffled.
        photo: (rows, columns, 3); exact for uncompressed photographs, else what was encoded.
        paths: `oct`, `fundus`, `vf` -> file, for the kinds that there are.
    """

    eye: Eye
    oct: np.ndarray = field(repr=False)
    photo: np.ndarray = field(repr=False)
    paths: dict[str, Path]


def default_eyes(patients: int = 3) -> list[Eye]:
    """Both eyes of each patient, the right eye of the last left out; days and MD differ."""
    eyes = []
    for number in range(patients):
        person = Person(
            f"HOSP-{number + 1:04d}", f"Family{number}^Given{number}", date(1940 + number, 2, 3), "FM"[number % 2]
        )
        start = date(2020, 1, 7) + timedelta(days=31 * number)
        for eye, laterality in enumerate("RL"):
            if number == patients - 1 and laterality == "R" and patients > 1:
                continue
            seed = 2 * number + eye
            eyes.append(
                Eye(
                    person=person,
                    laterality=laterality,
                    md=round(-1.5 - 2.75 * seed, 2),
                    oct_day=start,
                    photo_day=start + timedelta(days=seed),
                    field_day=start + timedelta(days=20 + seed),
                    seed=seed,
                )
            )  # fmt: skip
    return eyes


def write_pacs_export(
    root: Path,
    *,
    eyes: Sequence[Eye] | None = None,
    shape: tuple[int, int, int] = (8, 48, 32),
    photo_size: tuple[int, int] = (64, 72),
    oct_syntax: str = ExplicitVRLittleEndian,
    photo_syntax: str = JPEGBaseline8Bit,
) -> list[WrittenEye]:
    """Write OPT, OP and OPV of each eye below `root` as a DICOM medium.

    Args:
        root: a folder, made if need be.
        eyes: default: `default_eyes()`.
        shape: of the volumes (slices, depth, along-scan).
        photo_size: rows and columns of the photographs.
        oct_syntax: transfer syntax of the volumes.
        photo_syntax: of the photographs.

    Returns:
        The truth, in the order of `eyes`.
    """
    root.mkdir(parents=True, exist_ok=True)
    files = FileSet()
    written = []
    for eye in default_eyes() if eyes is None else eyes:
        volume, photo = bscans(shape, seed=eye.seed), fundus(photo_size, seed=eye.seed)
        stored = np.random.RandomState(eye.seed).permutation(len(volume)).tolist()
        who = {"person": eye.person, "laterality": eye.laterality}
        objects = {}
        if eye.oct_day:
            objects["oct"] = oct_volume(volume, day=eye.oct_day, stored=stored, syntax=oct_syntax, **who)
        if eye.photo_day:
            objects["fundus"] = photograph(photo, day=eye.photo_day, syntax=photo_syntax, **who)
        if eye.field_day:
            objects["vf"] = visual_field(
                day=eye.field_day, md=eye.md, pattern=eye.pattern, false_positives=eye.false_positives, **who
            )
        with _own_measurement_records():
            written.append((eye, volume, photo, {kind: _add(files, dataset) for kind, dataset in objects.items()}))
    # The names are final when everything is in, and lost when it is written.
    truth = [
        WrittenEye(eye=eye, oct=volume, photo=photo, paths={kind: root / one.FileID for kind, one in places.items()})
        for eye, volume, photo, places in written
    ]
    files.write(root)
    # Its folder of copies: left alone it warns when it goes.
    files._stage["t"].cleanup()
    return truth


def _add(files: FileSet, dataset: Dataset) -> FileInstance:
    return files.add(dcmread(BytesIO(as_bytes(dataset))))


@contextmanager
def _own_measurement_records() -> Iterator[None]:
    """Pydicom would ask for a Content Label, which visual fields do not have."""
    before = DIRECTORY_RECORDERS["MEASUREMENT"]
    DIRECTORY_RECORDERS["MEASUREMENT"] = lambda dataset: item(
        InstanceNumber=dataset.InstanceNumber, ContentDate=dataset.SeriesDate, ContentTime=dataset.SeriesTime
    )
    try:
        yield
    finally:
        DIRECTORY_RECORDERS["MEASUREMENT"] = before
