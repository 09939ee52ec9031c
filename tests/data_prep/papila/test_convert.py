import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep._split import SplitOptions
from data_prep.papila import Options, convert
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError, read_json, sha256_file

UNSPLIT = SplitOptions(unsplit=True)
PATIENTS = (2, 4, 5, 6, 7, 9, 10, 11, 13, 120)


def md(patient, side):
    return round(1.2 - 0.21 * patient - (3.5 if side == "L" else 0), 2)


def run(source, out, *, workers=1, **options):
    options.setdefault("split", UNSPLIT)
    report = convert(source, out, options=Options(**options), workers=workers)
    content = read_json(out / "report.json")
    for tally in ("eyes", "files"):
        found = content[tally]
        aside = sum(entry["count"] for entry in found["quarantined"].values())
        assert found["total"] == found["converted"] + found["merged"] + aside
    assert content["files"]["total"] == sum(path.is_file() for path in source.rglob("*"))
    return report, content


def cases_of(out):
    return {case.case_id: case for _, case in load_datalist(out / "datalist.json").cases()}


def quarantined(content, tally="eyes"):
    return {reason: entry["items"] for reason, entry in content[tally]["quarantined"].items()}


def test_pixels_labels_and_people(papila, tmp_path):
    out = tmp_path / "out"
    report, content = run(papila.parent, out)
    cases = cases_of(out)
    assert len(cases) == report.usable == 20
    for number in PATIENTS:
        for eye, side in (("OD", "R"), ("OS", "L")):
            case = cases[f"papila-{number:03d}-{side}"]
            assert (case.patient_id, case.laterality) == (f"papila-{number:03d}", side)
            assert case.target == md(number, side)
            assert (case.age, case.sex) == (40 + number % 50, "MF"[number % 2])
            assert case.details == {"diagnosis": ("glaucoma", "suspect")[number % 2]}
            assert case.hashes == {"fundus": sha256_file(out / case.inputs["fundus"])}
            assert not case.patient_id_is_surrogate
            original = papila / "FundusImages" / f"RET{number:03d}{eye}.jpg"
            with Image.open(original) as before, Image.open(out / case.inputs["fundus"]) as after:
                assert (after.format, after.info) == ("PNG", {})
                np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
    assert content["diagnosis"] == {"glaucoma": 10, "suspect": 10}
    assert check_datalist(out / "datalist.json").ok


def test_eyes_without_a_visual_field_are_counted_and_no_fault(papila, tmp_path):
    report, content = run(papila, tmp_path / "out")
    assert quarantined(content) == {"no_visual_field": ["papila-333-L", "papila-333-R", "papila-334-L", "papila-334-R"]}
    assert {reason: len(items) for reason, items in quarantined(content, "files").items()} == {
        "eye_without_field": 4, "not_needed": 3, "system_file": 1,
    }  # fmt: skip
    assert not report.faulty


def test_both_eyes_of_a_patient_stay_in_one_list(papila, tmp_path):
    run(papila, tmp_path / "out", split=SplitOptions(test_fraction=0.3, validation_fraction=0.2))
    found = load_datalist(tmp_path / "out" / "datalist.json").splits
    owners = [{case.patient_id for case in cases} for cases in found.values()]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 10
    assert all(len(cases) == 2 * len(patients) for cases, patients in zip(found.values(), owners, strict=True))


def test_clinical_numbers_are_a_vector_when_asked_for(papila, tmp_path, edit):
    edit("od", 4, Pneumatic=None)
    edit("od", 5, Pachymetry="?")
    edit("od", 6, Age=96)
    edit("os", 6, Age=96)
    edit("od", 7, Axial_Length=2.35)
    _, content = run(papila, tmp_path / "out", clinical=True)
    cases = cases_of(tmp_path / "out")
    assert cases["papila-002-R"].inputs["clinical"] == [42, 16, 542, 23.5]
    assert cases["papila-006-R"].inputs["clinical"][0] == 90
    assert cases["papila-006-R"].age == 90
    assert content["missing_inputs"]["clinical"] == ["papila-004-R", "papila-005-R", "papila-007-R"]
    assert content["contents_not_understood"] == {"axiallength": 1, "pachymetry": 1}
    spec = load_datalist(tmp_path / "out" / "datalist.json").header.inputs["clinical"]
    assert (spec.kind, spec.details["length"]) == ("vector", 4)
    assert check_datalist(tmp_path / "out" / "datalist.json").ok


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (99, "label_out_of_range"),
        (-999, "label_out_of_range"),
        (-40.1, "label_out_of_range"),
        ("see chart", "label_unreadable"),
        ("=1/0", "label_unreadable"),
        (True, "label_unreadable"),
        ("-", "no_visual_field"),
        ("NA", "no_visual_field"),
        (" ", "no_visual_field"),
    ],
)
def test_a_value_that_is_no_md_is_dropped_for_a_named_reason(papila, tmp_path, edit, value, reason):
    if value == "=1/0":
        # Without a computed value, as openpyxl saves it, a formula is an empty cell: no field.
        reason = "no_visual_field"
    edit("od", 2, VF_MD=value)
    _, content = run(papila, tmp_path / "out")
    assert "papila-002-R" in quarantined(content)[reason]
    assert len(cases_of(tmp_path / "out")) == 19


@pytest.mark.parametrize(("value", "expected"), [("-4,5", -4.5), ("\N{MINUS SIGN}4.5", -4.5), (" 0.5 ", 0.5), (6, 6)])
def test_a_number_written_as_text_is_read(papila, tmp_path, edit, value, expected):
    edit("od", 2, VF_MD=value)
    run(papila, tmp_path / "out")
    assert cases_of(tmp_path / "out")["papila-002-R"].target == expected


def test_everything_that_is_set_aside_has_its_reason(papila, tmp_path, edit):
    images = papila / "FundusImages"
    (images / "RET002OD.jpg").unlink()
    (images / "RET004OD.jpg").write_bytes((images / "RET004OD.jpg").read_bytes()[:200])
    shutil.copy(images / "RET005OD.jpg", images / "RET005OD.png")
    shutil.copy(images / "RET006OD.jpg", images / "RET007OS.jpg")
    shutil.copy(images / "RET009OD.jpg", images / "RET777OD.jpg")
    (images / "notes.txt").write_text("x")
    edit("od", None, "#009", 50, 0, 1, *[None] * 8, -3.0)
    edit("os", None, "total", 50)
    report, content = run(papila, tmp_path / "out")
    assert {reason: items for reason, items in quarantined(content).items() if reason != "no_visual_field"} == {
        "photograph_absent": ["papila-002-R"],
        "photograph_unreadable": ["papila-004-R"],
        "photograph_twice": ["papila-005-R"],
        "photograph_of_two_eyes": ["papila-006-R", "papila-007-L"],
        "row_twice": ["papila-009-R"],
        "row_absent": ["papila-777-R"],
        "row_without_id": ["patient_data_os.xlsx, unnamed row 1"],
    }
    files = quarantined(content, "files")
    assert files["photograph_twice"] == ["FundusImages/RET005OD.jpg", "FundusImages/RET005OD.png"]
    assert files["not_of_the_release"] == ["FundusImages/notes.txt"]
    assert files["eye_set_aside"] == ["FundusImages/RET009OD.jpg"]
    assert set(content["reasons"]) == set(quarantined(content)) | set(files) == set(content["fixes"])
    assert report.faulty
    faults = {entry["eye"]: entry["what"] for entry in content["photograph_faults"]}
    assert faults["papila-007-L"] == "papila-006-R, papila-007-L"
    assert not (tmp_path / "out" / "fundus" / "papila-006-R.png").exists()
    assert len(cases_of(tmp_path / "out")) == 14


def test_a_patient_of_two_ages_or_sexes_has_neither(papila, tmp_path, edit):
    edit("os", 2, Age=70)
    edit("os", 4, Gender=1)
    edit("os", 5, Age=46)
    edit("os", 6, Gender=7, Diagnosis=9)
    _, content = run(papila, tmp_path / "out")
    cases = cases_of(tmp_path / "out")
    assert content["two_ages_or_sexes"] == ["papila-002", "papila-004"]
    assert {(case.age, case.sex) for name, case in cases.items() if name[7:10] in ("002", "004")} == {(None, None)}
    assert (cases["papila-005-R"].age, cases["papila-005-L"].age) == (45, 46)
    assert (cases["papila-006-L"].sex, cases["papila-006-L"].details) == (None, {})
    assert content["contents_not_understood"] == {"diagnosis": 1, "gender": 1}


def test_the_header_may_stand_in_any_of_its_rows(papila, tmp_path):
    from openpyxl import load_workbook

    for side in ("od", "os"):
        path = papila / "ClinicalData" / f"patient_data_{side}.xlsx"
        book = load_workbook(path)
        book.active.cell(2, 1).value = "ID"
        book.active.delete_rows(3)
        book.active.delete_rows(1)
        book.save(path)
    run(papila, tmp_path / "out")
    assert cases_of(tmp_path / "out")["papila-120-L"].target == md(120, "L")


def test_limit_counts_patients(papila, tmp_path):
    report, content = run(papila, tmp_path / "out", limit=3)
    assert set(cases_of(tmp_path / "out")) == {f"papila-{n:03d}-{side}" for n in (2, 4, 5) for side in "RL"}
    assert len(quarantined(content)["beyond_limit"]) == 18
    assert not report.faulty


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda root: (root / "ClinicalData" / "patient_data_od.xlsx").unlink(), "expected one PAPILA release"),
        (
            lambda root: (root / "ClinicalData" / "patient_data_os.xlsx").unlink(),
            "expected ClinicalData/patient_data_os",
        ),
        (lambda root: shutil.rmtree(root / "FundusImages"), "expected FundusImages"),
        (lambda root: shutil.copytree(root, root.parent / "copy"), "found 2"),
        (lambda root: (root / "ClinicalData" / "patient_data_os.xlsx").write_bytes(b"no"), "not a readable Excel"),
    ],
)
def test_a_source_that_is_not_the_release(papila, tmp_path, damage, text):
    damage(papila)
    with pytest.raises(MedmdError, match=text):
        convert(papila.parent, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sheet_without_its_columns_or_rows(papila, tmp_path):
    from openpyxl import Workbook

    path = papila / "ClinicalData" / "patient_data_os.xlsx"
    for rows, text in (([["ID", "Age"], ["#002", 50]], "columns are missing"), ([[None, "Age", "Gender", "Diagnosis", "VF_MD"]], "no row is there")):  # fmt: skip # noqa: E501
        book = Workbook()
        for row in rows:
            book.active.append(row)
        book.save(path)
        with pytest.raises(MedmdError, match=text):
            convert(papila, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "text"), [({"limit": 0}, "limit: expected"), ({"split": SplitOptions(fold=1)}, "--folds K together")]
)
def test_wrong_options(papila, tmp_path, options, text):
    with pytest.raises(MedmdError, match=text):
        convert(papila, tmp_path / "out", options=Options(**options))


def test_nothing_usable(papila, tmp_path):
    for path in (papila / "FundusImages").glob("*.jpg"):
        path.write_bytes(b"")
    report, _ = run(papila, tmp_path / "out")
    assert report.usable == 0
    assert not (tmp_path / "out" / "datalist.json").exists()


def test_a_second_run_changes_nothing_and_the_source_is_only_read(papila, tmp_path):
    before = {path: path.read_bytes() for path in papila.rglob("*") if path.is_file()}
    run(papila, tmp_path / "out")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "fundus").iterdir()}
    content = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    run(papila, tmp_path / "out", workers=2)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "fundus").iterdir()} == written
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == content
    assert {path: path.read_bytes() for path in papila.rglob("*") if path.is_file()} == before
    assert not any(b"SECRET" in data for data in content.values())
    assert b"data:image/png;base64," in content[tmp_path / "out" / "report.html"]
