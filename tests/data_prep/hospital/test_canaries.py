"""Identifying strings in every place that a clinical file has for them: none is written or told."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import clinical_dicom as dicom
import clinical_images as images
import clinical_vendor as vendor
import numpy as np
import openpyxl
import pytest
from canaries import dates, survivors, word
from clinical_dicom_common import Person, save
from PIL import Image
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

KEY = word("Key") + "0123456789abcdef"
BIRTH, SCANNED, TESTED = date(1951, 11, 23), date(2019, 8, 17), date(2019, 9, 4)
# One or more elements of every text value representation that may hold something of a person or a place.
ELEMENTS = (
    "AccessionNumber", "InstitutionName", "InstitutionAddress", "StationName", "ReferringPhysicianName",
    "StudyDescription", "SeriesDescription", "PhysiciansOfRecord", "OperatorsName", "PatientComments", "ImageComments",
    "OtherPatientNames", "PatientAddress", "PatientMotherBirthName", "MedicalRecordLocator", "EthnicGroup",
    "Occupation",
    "AdditionalPatientHistory", "PatientTelephoneNumbers", "DeviceSerialNumber", "SoftwareVersions", "ProtocolName",
    "StudyID", "RequestedProcedureDescription", "PerformedProcedureStepDescription", "RetrieveAETitle", "TextValue",
    "RetrieveURL", "ClinicalTrialSubjectID", "IssuerOfPatientID", "CommentsOnPatientPerformanceOfVisualField",
    "LabelText", "ContentDescription", "ContentLabel", "DeviceUID", "PatientReligiousPreference",
)  # fmt: skip
PERSON = Person(word("Number"), f"{word('Family')}^{word('Given')}", BIRTH, "F")
VENDOR = vendor.Person(
    identifier=word("Vid"), family=word("Vfam"), given=word("Vgiv"), birth=BIRTH, acquired=SCANNED, comment=word("Vcom")
)
SITE = """\
name: clinic
oct: {min_slices: 1, scan_patterns: [raster, radial, circle, line, unknown]}
pairing: {window_days: 365}
quality: {max_saturated_volume: 1.0, max_blank_slices: 1.0, min_slice_similarity: -1.0, min_volume_contrast: 0.0}
tables:
  - file: "**/fields.csv"
    kind: visual_fields
    columns: {patient: MRN, laterality: Eye, date: Tested, md: MD}
    constants: {pattern: "24-2"}
  - file: "**/pictures.xlsx"
    kind: images
    columns: {patient: MRN, laterality: Eye, date: Taken, file: File}
"""


def planted(dataset: Dataset, number: int) -> Dataset:
    """The object with a canary in every element, in private ones, and in its meta information."""
    for keyword in ELEMENTS:
        if tag_for_keyword(keyword) is not None:
            # In capitals, since a code string takes no others; the search does not mind.
            setattr(dataset, keyword, word(keyword[:9]).upper() if keyword != "DeviceUID" else "1.2.3.99999999")
    block = dataset.private_block(0x0011, word("Creator"), create=True)
    block.add_new(0x01, "LO", word("Private"))
    block.add_new(0x02, "OB", word("Binary").encode() + b"\0")
    if not hasattr(dataset, "file_meta"):  # what has no pixels gets its meta information when it is saved
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.SourceApplicationEntityTitle = word("AE")
    dataset.file_meta.ImplementationVersionName = word("Impl")
    dataset.preamble = word("Preamble").encode().ljust(128, b"\0")
    dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.{number}"[:64]
    return dataset


def photo_with_a_name_in_its_corner() -> np.ndarray:
    """A round field in black, and letters burned into the corner."""
    rows, columns = np.mgrid[:240, :240]
    inside = (rows - 120) ** 2 + (columns - 120) ** 2 < 110**2
    picture = np.zeros((240, 240, 3), dtype=np.uint8)
    picture[inside] = np.stack([120 + rows % 60, 60 + columns % 50, 40 + (rows * columns) % 30], axis=-1)[inside]
    picture[4:24, 4:44] = 250
    return picture


def gray(seed: int) -> np.ndarray:
    """A volume with its own content, so that it is nobody's duplicate."""
    return vendor.gray_volume(seed=seed)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    root = tmp_path / "source" / word("Folder") / word("Patient")
    who = {"person": PERSON, "laterality": "R"}
    corner = photo_with_a_name_in_its_corner()
    volume = dicom.oct_volume(dicom.bscans((6, 48, 40)), day=SCANNED, **who)
    photo = dicom.photograph(corner, day=SCANNED, syntax="1.2.840.10008.1.2.1", **who)
    for number, dataset in enumerate([volume, photo, dicom.visual_field(day=TESTED, **who)]):
        save(planted(dataset, number), root / f"{word('File')}{number}")
    secondary = planted(dicom.photograph(corner, day=SCANNED, **who), 9)
    secondary.SOPClassUID = secondary.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    save(secondary, root / word("Secondary"))
    files = {
        "vol": vendor.vol(person=VENDOR),
        "e2e": vendor.e2e(person=VENDOR),
        "fda": vendor.fda(person=VENDOR),
        "fds": vendor.fds(person=VENDOR),
        "hfa": vendor.hfa_xml(VENDOR, side="R", positives="5"),
        "tiff": images.tiff_pages(gray(1), VENDOR),
        "mha": images.mha(gray(2), VENDOR),
        "nrrd": images.nrrd(gray(3), VENDOR),
        "nifti": images.nifti(gray(4), VENDOR),
        "png": images.picture(corner, VENDOR, format="PNG"),
        "jpg": images.picture(corner[::-1], VENDOR),
    }
    for name, content in files.items():
        (root / f"{word('Name')}.{name}").write_bytes(content)
        (root / f"{word('Cut')}.{name}").write_bytes(content[: len(content) * 2 // 3])
    for path in sorted(root.iterdir())[:6]:
        (root / f"{word('Cut')}{path.name}").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    vendor.heyex_xml(root / word("Xml"), person=VENDOR)
    vendor.zeiss_img(root, np.full((2, 1024, 16), 9, dtype=np.uint8), VENDOR)
    (root / f"{word('Letter')}.pdf").write_bytes(b"%PDF-1.4 " + word("Pdf").encode())
    (root / f"{word('Notes')}.txt").write_text(word("Note"))
    write_tables(root)
    return tmp_path / "source"


def write_tables(root: Path) -> None:
    rows = [
        f"{PERSON.identifier};OD;2019-09-05;-3.4;{word('Cell')}",
        f"{word('Vid')};OD;2019-09-06;-5.5;{word('Cell')}",
        f"{word('Bad')};{word('Side')};{word('Date')};{word('Md')};{word('Cell')}",
    ]
    (root / "fields.csv").write_text("\n".join([f"MRN;Eye;Tested;MD;{word('Header')}", *rows]) + "\n")
    book = openpyxl.Workbook()
    book.properties.creator = word("Author")
    book.active.title = word("Sheet")
    book.active.append(["MRN", "Eye", "Taken", "File", "Remark"])
    names = [f"{word('Name')}.{end}" for end in ("png", "jpg", "tiff", "mha", "nrrd", "nifti")]
    for name in [*names, word("Absent")]:
        place = f"{word('Folder')}/{word('Patient')}/{name}"
        book.active.append([word("Vid"), "OD", SCANNED, place, word("Remark")])
    book.save(root / "pictures.xlsx")


def call(tmp_path: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "data_prep.hospital", *words],
        cwd=tmp_path,
        env={**os.environ, "MEDMD_PSEUDONYM_KEY": KEY, "PYTHONWARNINGS": "default"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def every_canary() -> list[str]:
    planted_words = {word(keyword[:9]) for keyword in ELEMENTS} | {
        word(each)
        for each in (
            *("Key", "Number", "Family", "Given", "Vid", "Vfam", "Vgiv", "Vcom", "Creator", "Private", "Binary", "AE"),
            *("Impl", "Preamble", "Folder", "Patient", "File", "Secondary", "Name", "Cut", "Xml", "Letter", "Pdf"),
            *("Notes", "Note", "Cell", "Bad", "Side", "Date", "Md", "Header", "Author", "Sheet", "Absent", "Remark"),
        )
    }
    days = [text for day in (BIRTH, SCANNED, TESTED, date(2019, 9, 5), date(2019, 9, 6)) for text in dates(day)]
    return [*sorted(planted_words), *days]


def test_no_canary_survives(export, tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    canaries = every_canary()
    assert len(canaries) >= 40

    first = call(tmp_path, "source", "out", "--config", "site.yaml", "--workers", "1")
    again = call(tmp_path, "source", "out", "--config", "site.yaml", "--workers", "2", "--verify")
    proposed = call(tmp_path, "--init", "source")

    assert first.returncode == 3, first.stderr
    assert again.returncode == 3, again.stderr
    assert proposed.returncode == 0, proposed.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["examinations"]["converted"] >= 6
    assert report["files"]["total"] >= 40
    told = [first.stdout, first.stderr, again.stdout, again.stderr]
    assert survivors(tmp_path / "out", canaries, *told) == []
    # A proposal names tables and their columns, on purpose, and nothing else.
    names = {word("Folder"), word("Patient"), word("Header"), word("Sheet")}
    assert survivors(tmp_path / "none", set(canaries) - names, proposed.stdout, proposed.stderr) == []


def test_the_search_would_find_them(export, tmp_path):
    """The export is full of them, and a picture that was copied instead of re-encoded would show them."""
    found = {text.split(" in ")[0] for text in survivors(tmp_path / "source", every_canary())}
    assert {word(each) for each in ("Number", "Private", "Preamble", "Vid", "Folder", "Cell", "Note")} <= found
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(next(export.rglob("*.png")), copy / "a.png")
    assert survivors(copy, [word("Vfam"), word("Vcom")])


def test_what_lies_outside_the_round_field_is_black(export, tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    done = call(tmp_path, "source", "out", "--config", "site.yaml", "--workers", "1")
    pictures = sorted((tmp_path / "out" / "fundus").glob("*.png"))
    assert pictures, done.stdout + done.stderr
    for path in pictures:
        pixels = np.asarray(Image.open(path))
        if pixels.shape[0] == 240:
            assert pixels[:28, :48].max() == 0
            assert pixels[120, 120].max() > 0
