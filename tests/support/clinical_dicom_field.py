"""Synthetic static perimetry."""

from __future__ import annotations

from datetime import date

import numpy as np
from clinical_dicom_common import PERSON, Person, code, item, items, new_object
from pydicom.dataset import Dataset
from pydicom.uid import OphthalmicVisualFieldStaticPerimetryMeasurementsStorage

PATTERNS = {
    "24-2": ("111800", "DCM", "Visual Field 24-2 Test Pattern"),
    "24-2C": ("OPVTP128", "99CZM", "Visual Field 24-2C Test Pattern"),
    "10-2": ("111801", "DCM", "Visual Field 10-2 Test Pattern"),
    "30-2": ("111802", "DCM", "Visual Field 30-2 Test Pattern"),
    "60-4": ("111803", "DCM", "Visual Field 60-4 Test Pattern"),
    "G": ("111810", "DCM", "Visual Field G Test Pattern"),
}
STRATEGIES = {
    "sita-standard": ("111815", "DCM", "Visual Field SITA-Standard Test Strategy"),
    "sita-fast": ("111817", "DCM", "Visual Field SITA-Fast Test Strategy"),
    "sita-faster": ("OPVTS101", "99CZM", "Visual Field SITA-Faster Test Strategy"),
    "sita-swap": ("111816", "DCM", "Visual Field SITA-SWAP Test Strategy"),
    "full-threshold": ("111818", "DCM", "Visual Field Full Threshold Test Strategy"),
    "normal": ("111827", "DCM", "Visual Field Normal Test Strategy"),
}
HUMPHREY = ("Carl Zeiss Meditec", "HFA 3")
ALGORITHM = code("111716", "DCM", "Unspecified method of calculation")


def visual_field(
    *,
    person: Person = PERSON,
    laterality: str = "R",
    day: date = date(2021, 6, 1),
    md: float = -4.25,
    psd: float = 3.1,
    vfi: float | None = 88.0,
    mean_sensitivity: float = 26.5,
    pattern: str = "24-2",
    strategy: str = "sita-standard",
    fixation: tuple[int, int] | None = (2, 15),
    false_positives: float | None = 4.0,
    false_negatives: float | None = 6.0,
    trials: bool = False,
    device: tuple[str, str] = HUMPHREY,
) -> Dataset:
    """An Ophthalmic Visual Field Static Perimetry Measurements object.

    Args:
        person: the patient.
        laterality: `R`, `L` or `B`.
        day: of the examination.
        md: mean deviation in dB.
        psd: pattern standard deviation in dB.
        vfi: visual field index in per cent, or None to leave it out.
        mean_sensitivity: in dB, which is not the MD.
        pattern: key of `PATTERNS`.
        strategy: key of `STRATEGIES`.
        fixation: losses and checks, or None when not checked.
        false_positives: per cent, or None when not given.
        false_negatives: per cent, or None when not given.
        trials: rates from counts of 50 catch trials instead of estimates.
        device: manufacturer and model.
    """
    dataset = new_object(
        sop_class=OphthalmicVisualFieldStaticPerimetryMeasurementsStorage,
        modality="OPV",
        person=person,
        day=day,
        device=device,
        identity=(laterality, md, pattern, strategy),
    )
    del dataset.ContentDate, dataset.ContentTime
    dataset.MeasurementLaterality = laterality
    for letter, side in (("L", "Left"), ("R", "Right")):
        if laterality in (letter, "B"):
            lens = item(RefractiveParametersUsedOnPatientSequence=items(), PupilSize=None, PupilDilated=None)
            setattr(dataset, f"OphthalmicPatientClinicalInformation{side}EyeSequence", items(lens))
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = f"{day:%Y%m%d}", "101112"
    dataset.PerformedProtocolCodeSequence = items(code(*PATTERNS[pattern]), code(*STRATEGIES[strategy]))
    _stimulus(dataset)
    _reliability(dataset, fixation, false_positives, false_negatives, trials)
    _points(dataset, md)
    _results(dataset, md, psd, vfi, mean_sensitivity)
    return dataset


def _stimulus(dataset: Dataset) -> None:
    dataset.VisualFieldHorizontalExtent, dataset.VisualFieldVerticalExtent = 48.0, 48.0
    dataset.VisualFieldShape = "RECTANGLE"
    dataset.MaximumStimulusLuminance, dataset.BackgroundLuminance = 3183.0, 10.0
    white = code("371251000", "SCT", "White")
    dataset.StimulusColorCodeSequence = dataset.BackgroundIlluminationColorCodeSequence = items(white)
    dataset.StimulusArea, dataset.StimulusPresentationTime = 0.15, 200.0


def _reliability(
    dataset: Dataset,
    fixation: tuple[int, int] | None,
    false_positives: float | None,
    false_negatives: float | None,
    trials: bool,
) -> None:
    fix = item(
        FixationMonitoringCodeSequence=items(code("111844", "DCM", "Blind Spot Monitoring")),
        ExcessiveFixationLossesDataFlag="NO",
    )
    if fixation is not None:
        fix.PatientNotProperlyFixatedQuantity, fix.FixationCheckedQuantity = fixation
    dataset.FixationSequence = items(fix)
    counted = trials and None not in (false_positives, false_negatives)
    catch = item(CatchTrialsDataFlag="YES" if counted else "NO")
    for word, sign, rate in (("Negatives", "Negative", false_negatives), ("Positives", "Positive", false_positives)):
        estimated = rate is not None and not counted
        setattr(catch, f"False{word}EstimateFlag", "YES" if estimated else "NO")
        setattr(catch, f"ExcessiveFalse{word}DataFlag", "NO")
        if estimated:
            setattr(catch, f"False{word}Estimate", rate)
        if counted:
            setattr(catch, f"{sign}CatchTrialsQuantity", 50)
            setattr(catch, f"False{word}Quantity", round((rate or 0.0) / 2))
    dataset.VisualFieldCatchTrialSequence = items(catch)


def _points(dataset: Dataset, md: float) -> None:
    dataset.PresentedVisualStimuliDataFlag, dataset.VisualFieldTestDuration = "NO", 300.0
    for flag in ("FovealSensitivityMeasured", "FovealPointNormativeDataFlag", "ScreeningBaselineMeasured"):
        setattr(dataset, flag, "NO")
    dataset.BlindSpotLocalized, dataset.TestPointNormalsDataFlag = "NO", "NO"
    dataset.MinimumSensitivityValue = -1.0
    dataset.VisualFieldTestPointSequence = items(
        *(
            item(
                VisualFieldTestPointXCoordinate=float(x),
                VisualFieldTestPointYCoordinate=float(y),
                StimulusResults="SEEN",
                SensitivityValue=float(np.clip(30 + md - 0.05 * (x * x + y * y) ** 0.5, 1, 40)),
            )
            for x in range(-27, 28, 18)
            for y in range(-21, 22, 14)
        )
    )


def _results(dataset: Dataset, md: float, psd: float, vfi: float | None, mean_sensitivity: float) -> None:
    dataset.VisualFieldMeanSensitivity, dataset.VisualFieldTestNormalsFlag = mean_sensitivity, "YES"
    algorithm = {"AlgorithmFamilyCodeSequence": items(ALGORITHM), "AlgorithmName": "STATPAC", "AlgorithmVersion": "1"}
    dataset.ResultsNormalsSequence = items(
        item(
            DataSetName="Normals",
            DataSetVersion="1",
            DataSetSource="Manufacturer",
            GlobalDeviationFromNormal=md,
            GlobalDeviationProbabilityNormalsFlag="YES",
            GlobalDeviationProbabilitySequence=items(item(GlobalDeviationProbability=0.5, **algorithm)),
            LocalizedDeviationFromNormal=psd,
            LocalDeviationProbabilityNormalsFlag="YES",
            LocalizedDeviationProbabilitySequence=items(item(LocalizedDeviationProbability=1.0, **algorithm)),
        )
    )
    for name in ("ShortTermFluctuation", "ShortTermFluctuationProbability"):
        setattr(dataset, f"{name}Calculated", "NO")
    for name in ("CorrectedLocalizedDeviationFromNormal", "CorrectedLocalizedDeviationFromNormalProbability"):
        setattr(dataset, f"{name}Calculated", "NO")
    if vfi is not None:
        observation = item(
            ValueType="NUMERIC",
            ConceptNameCodeSequence=items(code("111852", "DCM", "Visual Field Index")),
            NumericValue=vfi,
            MeasurementUnitsCodeSequence=items(code("%", "UCUM", "Percent")),
        )
        index = item(DataObservationSequence=items(observation), IndexNormalsFlag="NO")
        dataset.VisualFieldGlobalResultsIndexSequence = items(index)
