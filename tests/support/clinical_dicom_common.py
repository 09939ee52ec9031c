"""What the synthetic DICOM objects share: the patient, the study, codes, and how frames are encoded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    generate_uid,
)

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
LOSSY = {JPEGBaseline8Bit: "ISO_10918_1", JPEG2000: "ISO_15444_1"}


class Person(NamedTuple):
    """Whom the objects show."""

    identifier: str = "HOSP-0001"
    name: str = "Doe^Jane"
    birth: date = date(1950, 3, 14)
    sex: str = "F"


PERSON = Person()


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def items(*datasets: Dataset) -> Items:
    """A sequence."""
    return Items(datasets)


def item(**elements: Any) -> Dataset:
    """A dataset by keywords."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def uid(*facts: object) -> str:
    """The same for the same facts."""
    return generate_uid(entropy_srcs=[repr(fact) for fact in facts])


def new_object(
    *, sop_class: str, modality: str, person: Person, day: date, device: tuple[str, str], identity: Sequence[object]
) -> Dataset:
    """Patient, study, series, equipment and SOP modules."""
    dataset = Dataset()
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = uid("instance", modality, person, day, *identity)
    dataset.PatientName, dataset.PatientID = person.name, person.identifier
    dataset.PatientBirthDate, dataset.PatientSex = f"{person.birth:%Y%m%d}", person.sex
    dataset.StudyInstanceUID = uid("study", person, day)
    dataset.SeriesInstanceUID = uid("series", modality, person, day, *identity)
    for word in ("Study", "Series", "Content"):
        dataset[f"{word}Date"] = _element(f"{word}Date", f"{day:%Y%m%d}")
        dataset[f"{word}Time"] = _element(f"{word}Time", "101112")
    dataset.ReferringPhysicianName, dataset.StudyID, dataset.AccessionNumber = "", "1", ""
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, 1, 1
    dataset.Manufacturer, dataset.ManufacturerModelName = device
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "4711", "1.0"
    return dataset


def _element(keyword: str, value: str) -> Any:
    holder = Dataset()
    setattr(holder, keyword, value)
    return holder[keyword]


def describe_pixels(dataset: Dataset, frames: np.ndarray) -> None:
    """Image pixel module of (frames, rows, columns) or (frames, rows, columns, 3) samples."""
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel = 1 if frames.ndim == 3 else frames.shape[3]
    dataset.BitsAllocated = dataset.BitsStored = 8 * frames.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.NumberOfFrames = len(frames)


def set_pixels(dataset: Dataset, frames: np.ndarray, syntax: str, encoded: Sequence[bytes] | None = None) -> None:
    """Put the frames in; compressed if the syntax is, lossy methods declared.

    Args:
        dataset: described by `describe_pixels`.
        frames: samples.
        syntax: transfer syntax UID.
        encoded: the compressed frames, for syntaxes that cannot be encoded here.
    """
    dataset.LossyImageCompression = "00"
    if syntax in NATIVE:
        raw = frames.tobytes()
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
        dataset["PixelData"].VR = "OW" if frames.dtype.itemsize == 2 or syntax == ImplicitVRLittleEndian else "OB"
    else:
        parts = [encode_frame(frame, syntax) for frame in frames] if encoded is None else list(encoded)
        dataset.PixelData = encapsulate(parts)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        if syntax in LOSSY:
            dataset.LossyImageCompression = "01"
            dataset.LossyImageCompressionRatio = round(frames.nbytes / sum(map(len, parts)), 2)
            dataset.LossyImageCompressionMethod = LOSSY[syntax]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax


def encode_frame(frame: np.ndarray, syntax: str) -> bytes:
    """One compressed frame: JPEG baseline and JPEG 2000 by Pillow, everything else by the plug-ins of pydicom."""
    from PIL import Image
    from pydicom.pixels import get_encoder

    if syntax not in (JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless):
        encoded = get_encoder(syntax).encode(
            frame,
            rows=frame.shape[0],
            columns=frame.shape[1],
            samples_per_pixel=1 if frame.ndim == 2 else 3,
            bits_allocated=8 * frame.dtype.itemsize,
            bits_stored=8 * frame.dtype.itemsize,
            pixel_representation=0,
            photometric_interpretation="MONOCHROME2" if frame.ndim == 2 else "RGB",
            planar_configuration=0,
            number_of_frames=1,
        )
        return encoded + b"\0" * (len(encoded) % 2)
    buffer = io.BytesIO()
    image = Image.fromarray(frame)
    if syntax == JPEGBaseline8Bit:
        # 4:2:2, as YBR_FULL_422 promises.
        image.save(buffer, "JPEG", quality=90, subsampling=1)
    else:
        image.save(buffer, "JPEG2000", irreversible=syntax == JPEG2000, no_jp2=True, mct=0)
    return buffer.getvalue()


def as_bytes(dataset: Dataset) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def save(dataset: Dataset, path: Path) -> Path:
    """Write the file, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(dataset))
    return path
