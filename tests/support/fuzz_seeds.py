"""Whole files of every format that a reader knows, small ones, from which damaged ones are made."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import clinical_dicom as dicom
import clinical_images as images
import clinical_vendor as vendor
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)


class Seed(NamedTuple):
    """A file, what it is called, and what lies beside it."""

    name: str
    content: bytes
    beside: dict[str, bytes]


def seeds() -> list[Seed]:
    """One or more of every format."""
    found = {
        **{f"opt-{syntax.name}": _bytes(dicom.oct_volume(syntax=syntax)) for syntax in _SYNTAXES},
        "opt-plain": _bytes(dicom.oct_volume(stored=range(7, -1, -1), per_frame_measures=True)),
        "op-jpeg": _bytes(dicom.photograph()),
        "opv": _bytes(dicom.visual_field()),
        "opv-trials": _bytes(dicom.visual_field(trials=True)),
        "secondary": _secondary(),
        "vol": vendor.vol(),
        "e2e": vendor.e2e(),
        "fda": vendor.fda(),
        "fds": vendor.fds(),
        "hfa": vendor.hfa_xml(vfi="91%"),
        "jpeg": images.picture(),
        "png": images.picture(format="PNG"),
        "tiff": images.picture(format="TIFF"),
        "pages": images.tiff_pages(),
        "mha": images.mha(),
        "mha-compressed": images.mha(compressed=True),
        "nrrd": images.nrrd(),
        "nifti": images.nifti(),
    }
    plain = [Seed(f"{name.replace(' ', '-')}.bin", content, {}) for name, content in found.items()]
    return [*plain, *_named()]


_SYNTAXES = (
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEG2000Lossless,
)


def _bytes(dataset: Dataset) -> bytes:
    return dicom.as_bytes(dataset)


def _secondary() -> bytes:
    dataset = dicom.photograph()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    assert isinstance(dataset.file_meta, FileMetaDataset)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dicom.as_bytes(dataset)


def _named() -> list[Seed]:
    """Formats of which the name, or what lies beside, is a part."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        cube = vendor.zeiss_img(place, np.zeros((2, 1024, 16), dtype=np.uint8) + 7)
        found = [Seed(cube.name, cube.read_bytes(), {})]
        xml = vendor.heyex_xml(place / "xml")
        xml = xml if xml.is_file() else next((place / "xml").glob("*.xml"))
        beside = {each.name: each.read_bytes() for each in xml.parent.iterdir() if each != xml}
        return [*found, Seed(xml.name, xml.read_bytes(), beside)]
