"""Static perimetry out of OPV objects."""

from datetime import date

import pytest
from clinical_dicom import code, items, visual_field
from dicom_reading import reason, record

from medmd.io import dicom

OCTOPUS = ("Haag-Streit AG", "Octopus 900")


def test_everything_that_a_perimeter_says():
    found = record(
        visual_field(laterality="L", day=date(2022, 3, 4), md=-11.37, psd=8.02, vfi=71.0, mean_sensitivity=19.5)
    )

    assert (found.md, found.psd, found.vfi) == (-11.37, 8.02, 71.0)
    assert (found.laterality, found.acquired, found.device) == ("L", date(2022, 3, 4), "zeiss hfa")
    assert (found.pattern, found.strategy, found.warnings) == ("24-2", "sita-standard", ())
    assert found.fixation_losses == pytest.approx(2 / 15)
    assert (found.false_positives, found.false_negatives) == (0.04, 0.06)
    assert found.source_format == "dicom-opv"


@pytest.mark.parametrize("absent", ["mean sensitivity", "probability", "both"])
def test_the_md_is_neither_the_mean_sensitivity_nor_a_probability(absent):
    dataset = visual_field(md=-3.5, mean_sensitivity=-7.0)
    normals = dataset.ResultsNormalsSequence[0]
    normals.GlobalDeviationProbabilitySequence[0].GlobalDeviationProbability = -9.0
    if absent in ("mean sensitivity", "both"):
        del dataset.VisualFieldMeanSensitivity
    if absent in ("probability", "both"):
        del normals.GlobalDeviationProbabilitySequence

    assert record(dataset).md == -3.5


def test_an_object_with_every_other_number_but_the_md_is_refused():
    dataset = visual_field()
    del dataset.ResultsNormalsSequence[0].GlobalDeviationFromNormal
    dataset.GlobalDeviationFromNormal = -3.0  # outside of its place

    assert reason(dataset) == "md-missing"
    del dataset.ResultsNormalsSequence
    assert reason(dataset) == "md-missing"


@pytest.mark.parametrize("md", [-41.0, 16.0, 1e30, float("nan"), float("inf")])
def test_impossible_deviations_are_refused(md):
    assert reason(visual_field(md=md)) in ("md-implausible", "md-missing")


@pytest.mark.parametrize("pattern", ["24-2", "24-2C", "10-2", "30-2", "60-4"])
def test_patterns(pattern):
    assert record(visual_field(pattern=pattern)).pattern == pattern


@pytest.mark.parametrize("strategy", ["sita-standard", "sita-fast", "sita-faster", "sita-swap", "full-threshold"])
def test_strategies(strategy):
    assert record(visual_field(strategy=strategy)).strategy == strategy


@pytest.mark.parametrize(
    ("meanings", "pattern", "strategy"),
    [
        (("Esterman Monocular", "Suprathreshold"), "esterman", None),
        (("Central 24-2C Pattern", "SITA Faster"), "24-2C", "sita-faster"),
        (("Central 10-2", "SITA Standard"), "10-2", "sita-standard"),
        (("Doe^Jane", "Jane's test"), None, None),
    ],
)
def test_private_codes_are_known_by_their_meaning(meanings, pattern, strategy):
    dataset = visual_field()
    dataset.PerformedProtocolCodeSequence = items(
        *(code(f"P{number}", "99X", meaning) for number, meaning in enumerate(meanings))
    )
    found = record(dataset)

    assert (found.pattern, found.strategy) == (pattern, strategy)
    assert ("pattern-unknown" in found.warnings, "strategy-unknown" in found.warnings) == (
        pattern is None,
        strategy is None,
    )


def test_rates_from_counted_catch_trials():
    found = record(visual_field(trials=True, false_positives=8.0, false_negatives=20.0))

    assert (found.false_positives, found.false_negatives) == (0.08, 0.2)


def test_rates_that_the_device_does_not_give():
    found = record(visual_field(fixation=None, false_positives=None, false_negatives=None))

    assert (found.fixation_losses, found.false_positives, found.false_negatives) == (None, None, None)
    assert record(visual_field(fixation=(0, 0))).fixation_losses is None


def test_an_estimate_whose_flag_says_no_does_not_count():
    dataset = visual_field(false_positives=33.0)
    catch = dataset.VisualFieldCatchTrialSequence[0]
    catch.FalsePositivesEstimateFlag = "NO"
    assert record(dataset).false_positives is None
    catch.CatchTrialsDataFlag, catch.FalsePositivesQuantity, catch.PositiveCatchTrialsQuantity = "YES", 1, 10
    assert record(dataset).false_positives == 0.1
    del catch.FalsePositivesEstimateFlag
    assert record(dataset).false_positives == 0.33


def test_objects_without_reliability():
    dataset = visual_field()
    del dataset.VisualFieldCatchTrialSequence, dataset.FixationSequence
    found = record(dataset)

    assert (found.fixation_losses, found.false_positives, found.false_negatives) == (None, None, None)


def test_impossible_rates_are_left_out_and_said():
    found = record(visual_field(false_positives=250.0, fixation=(9, 4)))

    assert (found.fixation_losses, found.false_positives, found.false_negatives) == (None, None, 0.06)
    assert found.warnings == ("rate-implausible",)


@pytest.mark.parametrize("vfi", [None, 101.0, -1.0])
def test_an_index_that_is_absent_or_impossible(vfi):
    assert record(visual_field(vfi=vfi)).vfi is None


def test_other_indices_are_not_the_visual_field_index():
    dataset = visual_field()
    observation = dataset.VisualFieldGlobalResultsIndexSequence[0].DataObservationSequence[0]
    observation.ConceptNameCodeSequence = items(code("111853", "DCM", "Diffuse loss"))

    assert record(dataset).vfi is None


def test_both_eyes_are_refused():
    assert reason(visual_field(laterality="B")) == "laterality-both"


def test_eyes_that_contradict_are_refused():
    dataset = visual_field(laterality="R")
    dataset.Laterality = "L"

    assert reason(dataset) == "laterality-contradicts"


def test_the_sign_of_other_perimeters_must_be_said():
    dataset = visual_field(device=OCTOPUS, md=5.2)

    assert reason(dataset) == "md-sign-unknown"
    assert record(dataset, md_convention="octopus").md == -5.2
    assert record(dataset, md_convention="hfa").md == 5.2
    assert record(dataset, md_convention="octopus").device == "haag-streit octopus"
    assert reason(visual_field(device=OCTOPUS, md=-18.0), md_convention="octopus") == "md-implausible"


@pytest.mark.parametrize(
    "device", [("Carl Zeiss Meditec AG", "HFA II-i"), ("Humphrey Instruments", "750"), ("ACME", "Humphrey 840")]
)
def test_humphrey_perimeters_need_no_word_on_the_sign(device):
    assert record(visual_field(device=device, md=-2.0)).md == -2.0


def test_an_unknown_convention_is_the_callers_fault():
    with pytest.raises(ValueError, match="md_convention: expected 'hfa', 'octopus' or None"):
        dicom.read_all(b"", md_convention="humphrey")


def test_the_day_is_that_of_the_procedure():
    dataset = visual_field(day=date(2022, 3, 4))
    dataset.StudyDate = "20220101"
    assert record(dataset).acquired == date(2022, 3, 4)
    del dataset.PerformedProcedureStepStartDate, dataset.SeriesDate
    assert record(dataset).acquired == date(2022, 1, 1)
