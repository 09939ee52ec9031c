"""Which kinds of DICOM objects are read, and what the others say that should be exported instead."""

import pytest
from clinical_dicom import as_bytes, item, oct_volume, photograph, visual_field, write_pacs_export
from clinical_dicom_common import new_object
from dicom_reading import reason, record

from medmd.io import FORMATS, OctVolume, RefusedError, VisualField, read_all, recognise

STORAGE = "1.2.840.10008.5.1.4.1.1."


def _object(sop_class, maker="Topcon"):
    from datetime import date

    from clinical_dicom import PERSON

    facts = {"sop_class": sop_class, "modality": "OT", "identity": (sop_class,)}
    return new_object(person=PERSON, day=date(2020, 1, 1), device=(maker, "X"), **facts)


@pytest.mark.parametrize(
    ("sop_class", "expected", "advice"),
    [
        ("7", "secondary-capture", "original objects"),
        ("7.4", "secondary-capture", "original objects"),
        ("104.1", "encapsulated-document", "HFA XML"),
        ("104.2", "encapsulated-document", "HFA XML"),
        ("66", "raw-data", "original objects"),
        ("77.1.4", "vl-photograph", "Ophthalmic Photography"),
        ("77.1.4.1", "video", "still images"),
        ("77.1.5.7", "en-face", "colour photograph"),
        ("77.1.5.8", "oct-analysis", "Ophthalmic Tomography"),
        ("88.11", "dicom-class-unused", "Nothing to do"),
        ("81.1", "dicom-class-unused", "Nothing to do"),
    ],
)
def test_other_objects_are_refused_with_advice(sop_class, expected, advice):
    with pytest.raises(RefusedError) as caught:
        read_all(as_bytes(_object(STORAGE + sop_class)))
    assert caught.value.reason == expected
    assert advice in caught.value.fix


def test_zeiss_raw_data_has_its_own_advice():
    with pytest.raises(RefusedError, match="research export") as caught:
        read_all(as_bytes(_object(STORAGE + "66", maker="Carl Zeiss Meditec")))
    assert caught.value.reason == "zeiss-raw"


def test_an_export_is_read_and_its_index_is_harmless(tmp_path):
    eyes = write_pacs_export(tmp_path)

    assert reason(tmp_path / "DICOMDIR") == "dicomdir"
    for one in eyes:
        volume, photo, field = (record(one.paths[kind]) for kind in ("oct", "fundus", "vf"))
        assert (volume.pixels == one.oct).all()
        assert photo.pixels.shape == one.photo.shape
        assert field.md == one.eye.md
        assert {found.laterality for found in (volume, photo, field)} == {one.eye.laterality}
        assert {found.subject.identifier for found in (volume, photo, field)} == {one.eye.person.identifier}
        days = (one.eye.oct_day, one.eye.photo_day, one.eye.field_day)
        assert (volume.acquired, photo.acquired, field.acquired) == days


def test_dicom_is_asked_first_and_known_by_content(tmp_path):
    raw = as_bytes(visual_field())
    path = tmp_path / "report.pdf"
    path.write_bytes(raw)

    assert FORMATS[0] == "dicom"
    assert recognise(path) == recognise(raw) == recognise(raw[132:]) == "dicom"
    assert isinstance(record(path), VisualField)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"DICM",
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"<?xml version='1.0'?>",
        bytes(4096),
        b"\x08\x00\x05\x00" + b"\xff" * 60,
    ],
)
def test_other_files_are_not_taken_for_dicom(head):
    from medmd.io.dicom import matches

    assert not matches(head, head)


def test_a_dataset_in_implicit_encoding_is_known_without_preamble():
    raw = as_bytes(oct_volume(syntax="1.2.840.10008.1.2"))

    assert recognise(raw[raw.index(b"\x08\x00\x08\x00") :]) == "dicom"


def test_paths_and_bytes_give_the_same(tmp_path):
    raw = as_bytes(photograph())
    (tmp_path / "x").write_bytes(raw)

    assert (record(raw).pixels == record(tmp_path / "x").pixels).all()
    assert isinstance(record(oct_volume()), OctVolume)


def test_an_element_of_the_wrong_kind_counts_as_absent():
    dataset = visual_field()
    dataset.add_new(0x00200060, "SQ", [item(CodeValue="L")])

    assert record(dataset).laterality == "R"
