"""A DICOM OCT volume of given JPEG frames, as the benchmark of reading needs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items
from pydicom.uid import JPEGBaseline8Bit, OphthalmicTomographyImageStorage, generate_uid


def write_object(path: Path, jpegs: Sequence[bytes], order: Sequence[int], size: tuple[int, int]) -> None:
    """Write frames in a stored order that differs from the scan's.

    Args:
        path: the file.
        jpegs: slices in the order of the scan, 8-bit grey.
        order: `order[i]` is the slice that the stored frame i shows.
        size: rows and columns.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.SOPClassUID, dataset.SOPInstanceUID = OphthalmicTomographyImageStorage, generate_uid(entropy_srcs=["speed"])
    dataset.Modality, dataset.Manufacturer, dataset.ImageLaterality = "OPT", "Topcon", "R"
    dataset.Rows, dataset.Columns = size
    dataset.NumberOfFrames, dataset.SamplesPerPixel, dataset.PixelRepresentation = len(jpegs), 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SharedFunctionalGroupsSequence = Items([_shared()])
    dataset.PerFrameFunctionalGroupsSequence = Items([_frame(number) for number in order])
    dataset.PixelData = encapsulate([jpegs[number] for number in order])
    dataset.save_as(path, enforce_file_format=True)


def _shared() -> Dataset:
    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.004, 0.012], 0.1
    plane.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Items([measures]), Items([plane])
    return shared


def _frame(number: int) -> Dataset:
    group, content, place = Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber = "1", number + 1
    place.ImagePositionPatient = [0, round(0.1 * number, 6), 0]
    group.FrameContentSequence, group.PlanePositionSequence = Items([content]), Items([place])
    return group
