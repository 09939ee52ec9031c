"""Writers of synthetic DICOM objects as OCT scanners, fundus cameras and perimeters make them.

`oct_volume`, `photograph` and `visual_field` give datasets that a test may spoil before `save` or `as_bytes`;
`write_pacs_export` writes a whole export and says what is in it. `dciodvfy` finds no error in any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from clinical_dicom_common import (
    PERSON,
    Person,
    as_bytes,
    code,
    describe_pixels,
    encode_frame,
    item,
    items,
    new_object,
    save,
    set_pixels,
    uid,
)
from clinical_dicom_field import visual_field
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, OphthalmicPhotography8BitImageStorage

__all__ = [
    "PERSON",
    "Person",
    "as_bytes",
    "bscans",
    "code",
    "encode_frame",
    "fundus",
    "item",
    "items",
    "oct_volume",
    "photograph",
    "save",
    "uid",
    "visual_field",
    "write_pacs_export",
]

TOMOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
ANATOMY = {"macula": ("67046006", "SCT", "Fovea centralis"), "disc": ("81016008", "SCT", "Optic nerve head")}
CENTRED = {"macula": ("111900", "DCM", "Macula centered"), "disc": ("111901", "DCM", "Disc centered")}
RETINA = ("5665001", "SCT", "Retina")
SCANS = {
    "raster": ("128280", "DCM", "Raster B-scan pattern"),
    "cube": ("128279", "DCM", "Cube B-scan pattern"),
    "radial": ("128282", "DCM", "Radial B-scan pattern"),
    "circle": ("128284", "DCM", "Circle B-scan pattern"),
    "line": ("128281", "DCM", "Line B-scan pattern"),
}


def bscans(shape: tuple[int, int, int] = (8, 48, 32), *, seed: int = 0, bits: int = 8) -> np.ndarray:
    """A volume (slices, depth, along-scan) of layers and speckle; every slice differs from every other."""
    random = np.random.RandomState(seed)
    slices, depth, along = np.ogrid[: shape[0], : shape[1], : shape[2]]
    surface = shape[1] * (0.35 + 0.08 * np.sin(along / max(shape[2], 1) * 3 + slices / 5 + seed))
    layers = 0.1 + 0.8 * np.exp(-(((depth - surface) / (0.08 * shape[1])) ** 2)) + 0.3 * (depth > surface)
    values = np.clip(layers * random.gamma(6, 1 / 6, shape), 0, 1) * (2**bits - 1)
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def fundus(size: tuple[int, int] = (64, 72), *, seed: int = 0) -> np.ndarray:
    """A photograph (rows, columns, 3): an orange disc with a bright spot on black."""
    random = np.random.RandomState(seed)
    row, column = np.ogrid[: size[0], : size[1]]
    middle, radius = (np.array(size) - 1) / 2, 0.46 * min(size)
    inside = (row - middle[0]) ** 2 + (column - middle[1]) ** 2 < radius**2
    spot = np.exp(-(((row - middle[0]) ** 2 + (column - 0.7 * size[1]) ** 2) / (0.1 * min(size)) ** 2))
    colour = np.array([190.0, 95.0, 40.0]) * random.uniform(0.85, 1.1)
    image = colour + 60 * spot[..., None] + random.normal(0, 4, (*size, 3))
    return np.where(inside[..., None], np.clip(image, 0, 255), 0).astype(np.uint8)


def oct_volume(
    pixels: np.ndarray | None = None,
    *,
    person: Person = PERSON,
    laterality: str = "R",
    day: date = date(2021, 5, 6),
    spacing: tuple[float, float, float] = (0.1, 0.004, 0.012),
    stored: Sequence[int] | None = None,
    stacks: Sequence[int] | None = None,
    per_frame_measures: bool = False,
    region: str = "macula",
    pattern: str = "cube",
    device: tuple[str, str] = ("Topcon", "Triton"),
    syntax: str = ExplicitVRLittleEndian,
    encoded: Sequence[bytes] | None = None,
) -> Dataset:
    """An Ophthalmic Tomography Image.

    Args:
        pixels: (slices, depth, along-scan), in the order of the scan.
        person: the patient.
        laterality: of the eye.
        day: of everything.
        spacing: mm between slices, in depth, along the scan.
        stored: the order in which the frames are stored: `stored[i]` is the slice that frame i shows.
        stacks: number of slices of each stack; default: one stack.
        per_frame_measures: pixel measures in each frame's group instead of the shared one.
        region: `macula` or `disc`.
        pattern: `raster`, `cube`, `radial`, `circle` or `line`.
        device: manufacturer and model.
        syntax: transfer syntax.
        encoded: the compressed frames as stored, for syntaxes without an encoder here.
    """
    pixels = bscans() if pixels is None else pixels
    dataset = new_object(
        sop_class=TOMOGRAPHY,
        modality="OPT",
        person=person,
        day=day,
        device=device,
        identity=(laterality, region, pixels.shape, int(pixels.sum())),
    )
    order = list(range(len(pixels))) if stored is None else list(stored)
    describe_pixels(dataset, pixels)
    _tomography(dataset, day, pattern)
    _region(dataset, laterality, region)
    _groups(dataset, order, stacks or [len(pixels)], spacing, per_frame_measures, region, laterality)
    set_pixels(dataset, pixels[order], syntax, encoded)
    return dataset


def _tomography(dataset: Dataset, day: date, pattern: str) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME2", "IDENTITY"
    dataset.AcquisitionDateTime, dataset.AcquisitionDuration = f"{day:%Y%m%d}101112", 1.5
    dataset.AcquisitionNumber, dataset.BurnedInAnnotation = 1, "NO"
    # The image module asks for these three even where there is no concatenation.
    dataset.ConcatenationFrameOffsetNumber = 0
    dataset.InConcatenationNumber = dataset.InConcatenationTotalNumber = 1
    dataset.FrameOfReferenceUID = uid("frame", dataset.SOPInstanceUID)
    dataset.PositionReferenceIndicator = ""
    _clock(dataset)
    dataset.AcquisitionContextSequence = items()
    for keyword in ("AxialLengthOfTheEye", "HorizontalFieldOfView", "EmmetropicMagnification", "IntraOcularPressure"):
        setattr(dataset, keyword, None)
    dataset.PupilDilated, dataset.RefractiveStateSequence = "NO", items()
    dataset.AcquisitionDeviceTypeCodeSequence = items(code("392012008", "SCT", "Optical Coherence Tomography Scanner"))
    dataset.LightPathFilterTypeStackCodeSequence, dataset.DetectorType = items(), "CCD"
    dataset.ScanPatternTypeCodeSequence = items(code(*SCANS[pattern]))
    dataset.IlluminationWaveLength, dataset.IlluminationPower, dataset.IlluminationBandwidth = 840.0, 700.0, 50.0
    for axis, value in (("Depth", 6.0), ("AlongScan", 15.0), ("AcrossScan", 15.0)):
        setattr(dataset, f"{axis}SpatialResolution", value)
        setattr(dataset, f"Maximum{axis}Distortion", 1.0)


def _clock(dataset: Dataset) -> None:
    dataset.SynchronizationFrameOfReferenceUID = uid("clock", dataset.SOPInstanceUID)
    dataset.SynchronizationTrigger, dataset.AcquisitionTimeSynchronized = "NO TRIGGER", "N"


def _region(dataset: Dataset, laterality: str, region: str) -> None:
    dataset.ImageLaterality = laterality
    dataset.RelativeImagePositionCodeSequence = items(code(*CENTRED[region]))
    dataset.AnatomicRegionSequence = items(code(*ANATOMY[region]))


def _groups(
    dataset: Dataset,
    order: Sequence[int],
    stacks: Sequence[int],
    spacing: tuple[float, float, float],
    per_frame_measures: bool,
    region: str,
    laterality: str,
) -> None:
    between, depth, along = spacing
    measures = item(PixelSpacing=[depth, along], SliceThickness=between)
    anatomy = item(FrameLaterality=laterality, AnatomicRegionSequence=items(code(*ANATOMY[region])))
    shared = item(
        # Rows run down into the eye, columns along the scan; slices follow each other across it.
        PlaneOrientationSequence=items(item(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])),
        FrameAnatomySequence=items(anatomy),
    )
    if not per_frame_measures:
        shared.PixelMeasuresSequence = items(measures)
    dataset.SharedFunctionalGroupsSequence = items(shared)
    dimension = {"DimensionOrganizationUID": uid("dimension", dataset.SOPInstanceUID)}
    dataset.DimensionOrganizationSequence = items(item(**dimension))
    pointers = ((0x0020, 0x9056), (0x0020, 0x9057))
    dataset.DimensionIndexSequence = items(
        *(
            item(DimensionIndexPointer=pointer, FunctionalGroupPointer=(0x0020, 0x9111), **dimension)
            for pointer in pointers
        )
    )
    places = [(stack + 1, number + 1) for stack, count in enumerate(stacks) for number in range(count)]
    dataset.PerFrameFunctionalGroupsSequence = items(
        *(_frame(dataset, *places[slice_], between, measures if per_frame_measures else None) for slice_ in order)
    )


def _frame(dataset: Dataset, stack: int, number: int, between: float, measures: Dataset | None) -> Dataset:
    moment = dataset.AcquisitionDateTime
    content = item(
        FrameReferenceDateTime=moment,
        FrameAcquisitionDateTime=moment,
        FrameAcquisitionDuration=1.0,
        StackID=str(stack),
        InStackPositionNumber=number,
        DimensionIndexValues=[stack, number],
    )
    position = [-3.0, round(between * (number - 1), 6), float(stack - 1)]
    group = item(FrameContentSequence=items(content), PlanePositionSequence=items(item(ImagePositionPatient=position)))
    if measures is not None:
        group.PixelMeasuresSequence = items(measures)
    return group


def photograph(
    pixels: np.ndarray | None = None,
    *,
    person: Person = PERSON,
    laterality: str = "R",
    day: date = date(2021, 5, 6),
    region: str = "macula",
    field_of_view: float | None = 45.0,
    device: tuple[str, str] = ("Topcon", "TRC-NW400"),
    syntax: str = JPEGBaseline8Bit,
    encoded: Sequence[bytes] | None = None,
) -> Dataset:
    """An Ophthalmic Photography 8 Bit Image in colour.

    Args:
        pixels: (rows, columns, 3).
        person: the patient.
        laterality: of the eye.
        day: of everything.
        region: `macula` or `disc`: what it is centred on.
        field_of_view: in degrees.
        device: manufacturer and model.
        syntax: transfer syntax; JPEG baseline is stored as YBR_FULL_422.
        encoded: the compressed frames, for syntaxes without an encoder here.
    """
    pixels = fundus() if pixels is None else pixels
    dataset = new_object(
        sop_class=OphthalmicPhotography8BitImageStorage,
        modality="OP",
        person=person,
        day=day,
        device=device,
        identity=(laterality, region, pixels.shape, int(pixels.sum())),
    )
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "COLOR"]
    describe_pixels(dataset, pixels[None])
    dataset.PhotometricInterpretation = "YBR_FULL_422" if syntax == JPEGBaseline8Bit else "RGB"
    dataset.PlanarConfiguration, dataset.PatientOrientation = 0, ["", ""]
    dataset.FrameIncrementPointer, dataset.FrameTime = (0x0018, 0x1063), 0
    dataset.AcquisitionDateTime, dataset.BurnedInAnnotation = f"{day:%Y%m%d}101112", "NO"
    dataset.PatientEyeMovementCommanded, dataset.PupilDilated = "NO", "NO"
    dataset.HorizontalFieldOfView, dataset.RefractiveStateSequence = field_of_view, items()
    dataset.EmmetropicMagnification = dataset.IntraOcularPressure = None
    dataset.AcquisitionDeviceTypeCodeSequence = items(code("409898007", "SCT", "Fundus Camera"))
    for keyword in ("IlluminationType", "LightPathFilterTypeStack", "ImagePathFilterTypeStack", "Lenses"):
        setattr(dataset, f"{keyword}CodeSequence", items())
    dataset.DetectorType = "CCD"
    _clock(dataset)
    _region(dataset, laterality, region)
    dataset.AnatomicRegionSequence = items(code(*RETINA))
    set_pixels(dataset, pixels[None], syntax, encoded)
    return dataset


def write_pacs_export(*arguments: Any, **options: Any) -> Any:
    """See `clinical_dicom_export.write_pacs_export`."""
    from clinical_dicom_export import write_pacs_export as write

    return write(*arguments, **options)
