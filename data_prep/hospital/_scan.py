"""Reading one file: its examinations as facts, measured and made nameless where the file is read."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.hospital._facts import Scanned
from data_prep.hospital._leftovers import leftover
from data_prep.hospital._opened import opened_files
from data_prep.hospital._pseudonyms import Pseudonyms
from medmd.utils import sha256_file

if TYPE_CHECKING:
    from medmd.io import FundusPhoto, OctVolume, Record, Subject, VisualField

_OLDEST = 90
# A cluster's worker may have several threads; one volume at a time keeps its memory bounded.
_ONE_AT_A_TIME = threading.Lock()
_READ_AGAIN = "Run the conversion again when nothing writes to the export."


@dataclass(frozen=True, kw_only=True)
class ScanTask:
    """A file to read.

    Args:
        pointer: its name in everything that is written.
        root: of the export.
        place: where it lies below.
        size: its bytes, as the walk saw them.
        changed: its time, as the walk saw it.
        pseudonyms: makers of names.
        octopus: whether DICOM perimetry of other makers than Zeiss gives MD as positive for loss.
    """

    pointer: str
    root: Path = field(repr=False)
    place: str = field(repr=False)
    size: int
    changed: int = field(repr=False)
    pseudonyms: Pseudonyms
    octopus: bool = False

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.place


def scan(task: ScanTask) -> Scanned:
    """Read a file whole, once, and give facts about what it holds; never pixels, never an error."""
    from medmd.io import RefusedError

    digest = ""
    with one_volume():
        try:
            digest = task.pseudonyms.stamp(sha256_file(task.path))
            known = leftover(task.path)
            if known is not None:
                return Scanned(pointer=task.pointer, digest=digest, reason=known)
            with opened_files(task.root) as places:
                records = read_file(task.path, octopus=task.octopus)
            facts = tuple(_numbered(records, task))
        except RefusedError as error:
            return Scanned(pointer=task.pointer, digest=digest, reason=error.reason, detail=error.detail, fix=error.fix)
        except OSError:
            return Scanned(pointer=task.pointer, reason="file-unreadable")
        except Exception as error:  # noqa: BLE001 - whatever a library raises over one file, the others are to be read
            detail = f"The reader failed ({type(error).__name__})."
            return Scanned(pointer=task.pointer, reason="reader-failed", detail=detail)
        if not unchanged(task.path, task.size, task.changed):
            return Scanned(pointer=task.pointer, reason="changed-while-read", fix=_READ_AGAIN)
    parts = tuple(task.pseudonyms.pointer(place) for place in sorted(places - {task.place}))
    return Scanned(pointer=task.pointer, digest=digest, examinations=facts, parts=parts)


def read_file(path: Path, *, octopus: bool) -> list[Record]:
    """Every examination of a file.

    Args:
        path: of the file.
        octopus: whether the site file says that MD is positive for loss where a file does not say.

    Raises:
        RefusedError, OSError: as `medmd.io.read_all`.
    """
    from medmd.io import dicom, read_all, recognise

    if octopus and recognise(path) == "dicom":
        return dicom.read_all(path, md_convention="octopus")
    return read_all(path)


@contextmanager
def one_volume() -> Iterator[None]:
    """One reader at a time in this process, and no warning of a library, which may repeat what a file holds."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def unchanged(path: Path, size: int, changed: int) -> bool:
    """Whether a file still is what the walk saw."""
    try:
        now = path.stat()
    except OSError:
        return False
    return (now.st_size, now.st_mtime_ns) == (size, changed)


def pixel_digest(pixels: Any) -> str:
    """SHA-256 of the pixels and their shape and type."""
    import numpy as np

    digest = sha256(f"{pixels.shape} {pixels.dtype.str} ".encode())
    for part in pixels:  # A slice at a time: no copy of a volume that is not in one piece.
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def facts_of(record: Record, *, key: str, owner: str, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """What is kept of a record, as JSON values named as in `Examination`.

    What the record does not say of patient, side and day is None; a table may say it. A day without a patient is moved
    by the secret number of `owner`.
    """
    from medmd.io import FundusPhoto, OctVolume

    subject = record.subject
    patient = None if not (subject.identifier or "").strip() else pseudonyms.patient(str(subject.identifier))
    common = {
        "key": key,
        "patient": patient,
        "laterality": record.laterality,
        "day": None if record.acquired is None else pseudonyms.moved(patient or owner, record.acquired),
        "age": years(subject, record.acquired),
        "sex": subject.sex,
        "device": record.device,
        "source_format": record.source_format,
        "warnings": list(record.warnings),
    }
    if isinstance(record, OctVolume):
        return common | _oct_facts(record)
    return common | (_photo_facts(record) if isinstance(record, FundusPhoto) else _field_facts(record))


def years(subject: Subject, day: date | None) -> int | None:
    """Age in whole years at the examination, at most 90, from the birth date when it is known."""
    age: float | None = subject.age
    if subject.birth_date is not None and day is not None:
        born = subject.birth_date
        age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    if age is None or not math.isfinite(age) or not 0 <= age <= 130:
        return None
    return min(int(age), _OLDEST)


def _numbered(records: list[Record], task: ScanTask) -> Iterator[dict[str, Any]]:
    several = len(records) > 1
    for number in range(len(records)):
        record, records[number] = records[number], None  # type: ignore[call-overload]
        yield facts_of(record, key=str(number) if several else "", owner=task.pointer, pseudonyms=task.pseudonyms)


def _oct_facts(record: OctVolume) -> dict[str, Any]:
    from data_prep.hospital._quality import measure_volume

    return {
        "kind": "oct",
        "content": pixel_digest(record.pixels),
        "shape": list(record.pixels.shape),
        "spacing": list(record.spacing),
        "region": record.region,
        "scan_pattern": record.scan_pattern,
        "signal": record.signal,
        "quality": measure_volume(record.pixels),
    }


def _photo_facts(record: FundusPhoto) -> dict[str, Any]:
    from data_prep.hospital._quality import measure_photo

    return {
        "kind": "fundus",
        "content": pixel_digest(record.pixels),
        "shape": list(record.pixels.shape),
        "region": record.region,
        "field_of_view": record.field_of_view,
        "quality": measure_photo(record.pixels),
    }


def _field_facts(record: VisualField) -> dict[str, Any]:
    return {
        "kind": "vf",
        "md": record.md,
        "pattern": record.pattern,
        "strategy": record.strategy,
        "fixation_losses": record.fixation_losses,
        "false_positives": record.false_positives,
        "false_negatives": record.false_negatives,
    }
