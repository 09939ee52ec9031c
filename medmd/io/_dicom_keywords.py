"""What is read of a DICOM file: these elements of the first level, and of their items only what readers ask for."""

from __future__ import annotations

SUBJECT = ("PatientID", "PatientBirthDate", "PatientSex", "PatientAge")
EXAMINATION = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "ImageType",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "AcquisitionDateTime",
    "AcquisitionDate",
    "ContentDate",
    "SeriesDate",
    "StudyDate",
    "PerformedProcedureStepStartDate",
)
EYE = (
    "ImageLaterality",
    "Laterality",
    "MeasurementLaterality",
    "AnatomicRegionSequence",
    "PrimaryAnatomicStructureSequence",
    "RelativeImagePositionCodeSequence",
)
IMAGE = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "BurnedInAnnotation",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "InConcatenationTotalNumber",
)
TOMOGRAPHY = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ScanPatternTypeCodeSequence")
PHOTOGRAPHY = (
    "HorizontalFieldOfView",
    "CameraAngleOfView",
    "OphthalmicFOV",
    "ChannelDescriptionCodeSequence",
    "LightPathFilterTypeStackCodeSequence",
    "ImagePathFilterTypeStackCodeSequence",
    "ContrastBolusAgentSequence",
)
PERIMETRY = (
    "PerformedProtocolCodeSequence",
    "VisualFieldTestNormalsFlag",
    "ResultsNormalsSequence",
    "VisualFieldGlobalResultsIndexSequence",
    "FixationSequence",
    "VisualFieldCatchTrialSequence",
)
KEYWORDS = (*SUBJECT, *EXAMINATION, *EYE, *IMAGE, *TOMOGRAPHY, *PHOTOGRAPHY, *PERIMETRY)
