"""The synthetic DICOM objects that other tests read are what the standard asks for."""

import shutil
import subprocess
from pathlib import Path

import clinical_dicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

# The validator contradicts itself: its module of the OPT image asks for these three (as PS3.3 C.8.17.7 does, with these
# very values), its module of functional groups forbids them outside of a concatenation.
CONTRADICTION = (
    "</ConcatenationFrameOffsetNumber(0020,9228)> - Attribute present when condition unsatisfied",
    "</InConcatenationNumber(0020,9162)> - Attribute present when condition unsatisfied",
    "</InConcatenationTotalNumber(0020,9163)> - Cannot be less than or equal to one since then not a Concatenation",
)
OBJECTS = {
    "volume": lambda: clinical_dicom.oct_volume(stored=[3, 1, 0, 2, 4, 5, 7, 6]),
    "volume-left-16-bit-two-stacks": lambda: clinical_dicom.oct_volume(
        clinical_dicom.bscans(bits=16), laterality="L", stacks=[5, 3], per_frame_measures=True, region="disc"
    ),
    "volume-radial-implicit": lambda: clinical_dicom.oct_volume(pattern="radial", syntax=ImplicitVRLittleEndian),
    "volume-jpeg": lambda: clinical_dicom.oct_volume(syntax=JPEGBaseline8Bit),
    "volume-jpeg-2000": lambda: clinical_dicom.oct_volume(syntax=JPEG2000Lossless),
    "volume-rle": lambda: clinical_dicom.oct_volume(syntax=RLELossless),
    "photograph-jpeg": clinical_dicom.photograph,
    "photograph-plain": lambda: clinical_dicom.photograph(syntax=ExplicitVRLittleEndian, region="disc"),
    "field": clinical_dicom.visual_field,
    "field-counted": lambda: clinical_dicom.visual_field(trials=True, vfi=None, laterality="L", pattern="30-2"),
    "field-private-codes": lambda: clinical_dicom.visual_field(strategy="sita-faster", pattern="24-2C", fixation=None),
    "field-both-eyes": lambda: clinical_dicom.visual_field(laterality="B"),
}


def validator_errors(path: Path) -> list[str]:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    return [line for line in lines if not any(known in line for known in CONTRADICTION)]


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_conform(tmp_path: Path, name: str) -> None:
    path = clinical_dicom.save(OBJECTS[name](), tmp_path / "object")

    assert validator_errors(path) == []


def test_the_validator_finds_a_fault(tmp_path: Path) -> None:
    dataset = clinical_dicom.oct_volume()
    del dataset.ImageLaterality

    assert any(
        "ImageLaterality" in line for line in validator_errors(clinical_dicom.save(dataset, tmp_path / "object"))
    )


def test_an_export_is_what_it_says(tmp_path: Path) -> None:
    eyes = clinical_dicom.write_pacs_export(tmp_path / "export")

    assert [(one.eye.person.identifier[-1], one.eye.laterality) for one in eyes] == [
        ("1", "R"), ("1", "L"), ("2", "R"), ("2", "L"), ("3", "L"),
    ]  # fmt: skip
    for one in eyes:
        found = {kind: pydicom.dcmread(path) for kind, path in one.paths.items()}
        assert {kind: dataset.Modality for kind, dataset in found.items()} == {
            "oct": "OPT",
            "fundus": "OP",
            "vf": "OPV",
        }
        assert {str(dataset.PatientID) for dataset in found.values()} == {one.eye.person.identifier}
        assert found["oct"].ImageLaterality == found["vf"].MeasurementLaterality == one.eye.laterality
        assert found["vf"].ResultsNormalsSequence[0].GlobalDeviationFromNormal == pytest.approx(one.eye.md)
        numbers = [
            group.FrameContentSequence[0].InStackPositionNumber - 1
            for group in found["oct"].PerFrameFunctionalGroupsSequence
        ]
        assert numbers != sorted(numbers)
        np.testing.assert_array_equal(found["oct"].pixel_array, one.oct[numbers])
    files = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert len(files) == 16
    assert all(path.suffix == "" for path in files)
    assert validator_errors(tmp_path / "export" / "DICOMDIR") == []
