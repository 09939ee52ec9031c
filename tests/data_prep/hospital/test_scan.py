"""Reading and writing one file."""

from datetime import date

import numpy as np
import pytest
from clinical_dicom import bscans, fundus, oct_volume, save, visual_field
from clinical_vendor import heyex_xml
from PIL import Image

from data_prep.hospital import Pseudonyms
from data_prep.hospital._leftovers import leftover
from data_prep.hospital._opened import opened_files
from data_prep.hospital._scan import ScanTask, pixel_digest, scan, years
from data_prep.hospital._write import Output, WriteTask, lost, masked, spacing_mm, write_images
from medmd.io import Subject

NAMES = Pseudonyms(b"a key of at least 16 bytes")


def task(path, **more):
    facts = path.stat()
    pointer = NAMES.pointer(path.name)
    return ScanTask(
        pointer=pointer, root=path.parent, place=path.name, size=facts.st_size, changed=facts.st_mtime_ns,
        pseudonyms=NAMES, **more,
    )  # fmt: skip


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "MUELLER.dcm"
    save(oct_volume(bscans((6, 32, 24))), path)
    return path


def test_a_file_becomes_facts_without_names_and_days(volume):
    found = scan(task(volume))

    (facts,) = found.examinations
    assert (found.reason, facts["kind"], facts["shape"], facts["laterality"]) == (None, "oct", [6, 32, 24], "R")
    assert facts["patient"] == NAMES.patient("HOSP-0001")
    assert facts["quality"]["slices"] == 6
    assert "HOSP" not in str(found)
    assert "MUELLER" not in repr(task(volume))


def test_equal_pixels_have_one_digest_and_others_another():
    pixels = bscans((3, 8, 8))

    assert pixel_digest(pixels) == pixel_digest(np.asfortranarray(pixels))
    assert pixel_digest(pixels) != pixel_digest(pixels.reshape(3, 16, 4))
    assert pixel_digest(pixels) != pixel_digest(pixels.astype(np.uint16))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty-file"), (b"%PDF-1.7", "document"), (b"Rar!\x1a\x07\x00", "archive"), (b"abc", "format-unknown")],
)
def test_what_is_no_examination_has_a_reason(tmp_path, content, reason):
    path = tmp_path / "file"
    path.write_bytes(content)

    assert leftover(path) == scan(task(path)).reason == reason


def test_old_workbooks_are_tables(tmp_path):
    path = tmp_path / "fields"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))

    assert leftover(path) == "table-not-listed"


def test_a_reader_that_fails_is_told_by_the_kind_of_error(volume, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("MUELLER^HANS")

    monkeypatch.setattr("medmd.io.read_all", fail)

    found = scan(task(volume))

    assert found.reason == "reader-failed"
    assert "ZeroDivisionError" in found.detail
    assert "MUELLER" not in str(found)


def test_a_file_that_vanishes_or_changes_is_told(volume):
    before = task(volume)
    volume.write_bytes(volume.read_bytes() + b"\0\0")
    assert scan(before).reason == "changed-while-read"
    volume.unlink()
    assert scan(before).reason == "file-unreadable"


def test_perimeters_of_other_makers_need_their_convention(tmp_path):
    path = tmp_path / "field"
    dataset = visual_field(md=5.5)
    dataset.Manufacturer, dataset.ManufacturerModelName = "Haag-Streit", "Octopus 900"
    save(dataset, path)

    assert scan(task(path)).reason is not None
    (facts,) = scan(task(path, octopus=True)).examinations
    assert facts["md"] == pytest.approx(-5.5)


def test_slices_beside_an_xml_are_its_parts(tmp_path):
    folder = tmp_path / "heyex"
    folder.mkdir()
    xml = heyex_xml(folder)

    found = scan(task(xml))

    assert found.reason is None
    others = {NAMES.pointer(path.name) for path in folder.iterdir() if path != xml}
    assert set(found.parts) == others
    assert others


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (Subject(birth_date=date(1950, 3, 14)), 70),
        (Subject(birth_date=date(1950, 3, 15)), 69),
        (Subject(birth_date=date(1925, 1, 1)), 90),
        (Subject(age=63.9), 63),
        (Subject(age=104), 90),
        (Subject(age=-1), None),
        (Subject(age=float("nan")), None),
        (Subject(birth_date=date(2030, 1, 1), age=50), None),
        (Subject(), None),
    ],
)
def test_ages(subject, expected):
    assert years(subject, date(2020, 3, 14)) == expected


def test_only_the_files_below_the_root_are_noted(tmp_path):
    (tmp_path / "root").mkdir()
    for place in ("root/a", "b"):
        (tmp_path / place).write_text("x")

    with opened_files(tmp_path / "root") as places:
        (tmp_path / "root" / "a").read_text()
        (tmp_path / "b").read_text()
    (tmp_path / "root" / "a").read_text()

    assert places == {"a"}


def test_masking_keeps_the_field_and_blackens_the_corners():
    photo = fundus((200, 240), seed=1)
    photo[:12, :60] = 255  # Burned-in text.

    kept = masked(photo)

    assert kept[:12, :60].max() == 0
    np.testing.assert_array_equal(kept[60:140, 80:160], photo[60:140, 80:160])


def test_without_a_round_field_the_ellipse_is_kept():
    photo = np.full((100, 140, 3), 120, np.uint8)

    kept = masked(photo)

    assert kept[:8, :8].max() == kept[-8:, -8:].max() == 0
    assert kept[50].min() == 120
    assert 0.76 < (kept > 0).mean() < 0.81


def test_unknown_spacing_is_replaced():
    assert spacing_mm((0.1, None, 0.0)) == (1.0, 1.0, 0.1)


def test_writing_checks_that_the_pixels_are_those_that_were_measured(tmp_path, volume):
    def write(**more):
        output = {"name": "oct/x.nii.gz", "target": tmp_path / "x.nii.gz", "number": 0, "content": "", **more}
        return write_images(WriteTask(path=volume, outputs=(Output(**output),)))[0]

    content = scan(task(volume)).examinations[0]["content"]

    assert write().reason == "changed-while-read"
    assert write(content=content, number=1).reason == "changed-while-read"
    assert not (tmp_path / "x.nii.gz").exists()
    assert write(content=content).reason is None
    assert (tmp_path / "x.nii.gz").exists()
    volume.unlink()
    assert write(content=content).reason == "changed-while-read"


def test_a_photograph_is_written_without_what_the_file_carried(tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x010E] = "MUELLER^HANS"
    Image.fromarray(fundus((200, 220))).save(path, exif=exif)
    content = scan(task(path)).examinations[0]["content"]
    output = Output(name="fundus/x.png", target=tmp_path / "x.png", number=0, content=content)

    assert write_images(WriteTask(path=path, outputs=(output,)))[0].reason is None
    assert b"MUELLER" not in (tmp_path / "x.png").read_bytes()
    with Image.open(tmp_path / "x.png") as written:
        assert written.info == {}


def test_lost_workers_are_told(tmp_path):
    output = Output(name="n", target=tmp_path / "x", number=0, content="")

    assert lost(WriteTask(path=tmp_path, outputs=(output,)))[0].reason == "worker-died"
