import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep import _pictures as images_module
from data_prep._split import SplitOptions
from data_prep.grape import Options, convert
from medmd.data import load_datalist
from medmd.utils import MedmdError, read_json, sha256_file

UNSPLIT = SplitOptions(unsplit=True)


def snapshot(path):
    return {item.relative_to(path).as_posix(): item.read_bytes() for item in path.rglob("*") if item.is_file()}


def run(source, out, *, workers=1, **options):
    report = convert(source, out, options=Options(**options), workers=workers)
    content = read_json(out / "report.json")
    for tally in ("visits", "photographs"):
        excluded = sum(entry["count"] for entry in content[tally]["excluded"].values())
        assert content[tally]["total"] == content[tally]["converted"] + excluded
    return report, content


def cases_by_id(out):
    return {case.case_id: case for _, case in load_datalist(out / "datalist.json").cases()}


def test_first_visits_become_cases(make_grape, tmp_path):
    source, out = make_grape(), tmp_path / "out"
    report, content = run(source, out)
    cases = cases_by_id(out)
    assert report.usable == len(cases) == 16
    table = pd.read_excel(source / "VF and clinical information.xlsx", sheet_name="Baseline", header=[0, 1])
    for _, row in table.iterrows():
        case = cases[f"grape-{row.iloc[0]:04d}-{'R' if row.iloc[1] == 'OD' else 'L'}-1"]
        field = np.delete(row.iloc[19:80].to_numpy(float), (21, 32))
        assert case.target == pytest.approx(np.maximum(field, 0).mean(), abs=5e-5)
        assert (case.age, case.sex, case.laterality) == (row.iloc[2], row.iloc[3], case.case_id[-3])
        expected = None if row.iloc[11] == "/" else row.iloc[11:16].to_numpy(float).tolist()
        assert case.inputs["rnfl"] == expected
    assert content["visits"]["excluded"] == {}
    assert content["photographs"]["excluded"]["visit_not_asked_for"]["count"] == 16
    assert content["missing_inputs"]["rnfl"] == {"count": 2, "items": ["grape-0003-L-1", "grape-0003-R-1"]}


def test_the_header_says_what_is_predicted_and_from_what(make_grape, tmp_path):
    run(make_grape(), tmp_path / "out")
    header = load_datalist(tmp_path / "out" / "datalist.json").header
    assert (header.target.name, header.target.unit, header.target.range) == ("mean_sensitivity", "dB", (0, 35))
    assert {name: spec.kind for name, spec in header.inputs.items()} == {"fundus": "image", "rnfl": "vector"}
    assert "Scientific Data 2023" in header.source
    assert "not verified" in header.details["licence"]
    assert header.counts["inputs"] == {"fundus": 16, "rnfl": 14}


def test_images_hold_the_pixels_of_the_photographs_and_nothing_else(make_grape, tmp_path):
    source, out = make_grape(), tmp_path / "out"
    run(source, out)
    for case in cases_by_id(out).values():
        number, eye = int(case.patient_id[-4:]), {"R": "OD", "L": "OS"}[case.laterality]
        with (
            Image.open(source / "ROIs" / f"{number}_{eye}_1.jpg") as original,
            Image.open(out / case.inputs["fundus"]) as written,
        ):
            assert (written.format, written.mode, written.info) == ("PNG", "RGB", {})
            np.testing.assert_array_equal(np.asarray(written), np.asarray(original))
        assert case.hashes["fundus"] == sha256_file(out / case.inputs["fundus"])
        assert ("rnfl" in case.hashes) == (case.inputs["rnfl"] is not None)
    assert not any(b"SECRET" in data for data in snapshot(out).values())


def test_subjects_stay_together_in_the_split(make_grape, tmp_path):
    _, content = run(make_grape(), tmp_path / "out", visits="all")
    splits = load_datalist(tmp_path / "out" / "datalist.json").splits
    patients = [{case.patient_id for case in cases} for cases in splits.values()]
    assert set(splits) == {"training", "validation", "testing"}
    assert sum(map(len, patients)) == len(set.union(*patients)) == 8
    assert {name: entry["cases"] for name, entry in content["splits"].items()} == {
        name: len(cases) for name, cases in splits.items()
    }


def test_all_visits_bring_later_ones_without_rnfl(make_grape, tmp_path):
    _, content = run(make_grape(), tmp_path / "out", visits="all", split=UNSPLIT)
    cases = cases_by_id(tmp_path / "out")
    assert len(cases) == 32
    assert (content["visits"]["total"], content["photographs"]["excluded"]) == (48, {})
    assert content["visits"]["excluded"]["photograph_not_listed"]["count"] == 16
    later = cases["grape-0001-R-2"]
    assert later.inputs["rnfl"] is None
    assert (later.age, later.details["visit"], later.details["years_since_first_visit"]) == (41.75, 2, 0.75)


def test_full_photographs_come_from_the_other_folder(make_grape, tmp_path):
    run(make_grape(), tmp_path / "out", photograph="full", split=UNSPLIT)
    for case in cases_by_id(tmp_path / "out").values():
        with Image.open(tmp_path / "out" / case.inputs["fundus"]) as image:
            assert image.size == (48, 40)


def test_clinical_numbers_are_a_third_input_when_asked_for(make_grape, tmp_path):
    source = make_grape(edit=lambda book: book["Baseline"].__setitem__("F3", "/"))
    run(source, tmp_path / "out", clinical=True, visits="all", split=UNSPLIT)
    cases = cases_by_id(tmp_path / "out")
    assert cases["grape-0001-L-1"].inputs["clinical"] == [41, 14.5, 540]
    assert cases["grape-0001-L-2"].inputs["clinical"] == [41.75, 15.5, 540]
    assert cases["grape-0001-R-1"].inputs["clinical"] is None
    header = load_datalist(tmp_path / "out" / "datalist.json").header
    assert header.inputs["clinical"].details["components"] == ["age", "iop", "cct"]


def test_every_exclusion_is_counted_under_its_reason(make_grape, tmp_path):
    def edit(book):
        book["Baseline"]["T5"] = book["Follow-up"]["I9"] = "/"  # 2 OD: a point without value
        book["Follow-up"]["J6"] = 1  # 1 OS, first visit: differs from the baseline
        book["Baseline"].delete_rows(18)  # 8 OS

    source = make_grape(edit=edit, without=["4_OD_1.jpg", "5_OS_2.jpg"])
    (source / "ROIs" / "6_OD_1.jpg").write_bytes((source / "ROIs" / "6_OD_1.jpg").read_bytes()[:300])
    (source / "ROIs" / "6_OS_1.jpg").write_bytes(b"")
    (source / "ROIs" / "7_OD_1.jpg").write_bytes((source / "ROIs" / "7_OS_1.jpg").read_bytes())
    (source / "ROIs" / "3_OD_1.jpg").write_bytes((source / "ROIs" / "3_OD_2.jpg").read_bytes())
    (source / "ROIs" / "2_OS_1.jpg").write_bytes((source / "ROIs" / "8_OD_1.jpg").read_bytes())
    (source / "ROIs" / "Thumbs.db").write_bytes(b"x")
    report, content = run(source, tmp_path / "out", visits="all", split=UNSPLIT)
    visits = {reason: entry["items"] for reason, entry in content["visits"]["excluded"].items()}
    assert visits.pop("photograph_not_listed")[:2] == ["grape-0001-L-3", "grape-0001-R-3"]
    assert visits == {
        "visual_field_incomplete": ["grape-0002-R-1"],
        "sheets_disagree": ["grape-0001-L-1"],
        "no_baseline_row": ["grape-0008-L-1", "grape-0008-L-2", "grape-0008-L-3"],
        "photograph_absent": ["grape-0004-R-1", "grape-0005-L-2"],
        "photograph_unreadable": ["grape-0006-L-1", "grape-0006-R-1"],
        "photograph_of_two_subjects": ["grape-0002-L-1", "grape-0008-R-1"],
    }
    photographs = {reason: entry["items"] for reason, entry in content["photographs"]["excluded"].items()}
    assert photographs == {
        "not_in_workbook": ["8_OS_1.jpg", "8_OS_2.jpg", "Thumbs.db"],
        "row_excluded": ["1_OS_1.jpg", "2_OD_1.jpg"],
        "photograph_unreadable": ["6_OD_1.jpg", "6_OS_1.jpg"],
        "photograph_of_two_subjects": ["2_OS_1.jpg", "8_OD_1.jpg"],
    }
    assert [group["cases"] for group in content["duplicates"]] == [
        ["grape-0002-L-1", "grape-0008-R-1"],
        ["grape-0003-R-1", "grape-0003-R-2"],
        ["grape-0007-L-1", "grape-0007-R-1"],
    ]
    assert [entry["case"] for entry in content["unreadable"]] == ["grape-0006-L-1", "grape-0006-R-1"]
    assert all("cannot be read" in entry["what"] for entry in content["unreadable"])
    assert (
        "the photograph that the workbook lists is not in the folder (grape-0004-R-1, grape-0005-L-2)" in report.text()
    )
    written = {path.name for path in (tmp_path / "out" / "images").iterdir()}
    assert written == {f"{case_id}.png" for case_id in cases_by_id(tmp_path / "out")}


def test_a_photograph_that_may_not_be_opened_is_set_aside(make_grape, tmp_path, monkeypatch):
    source = make_grape()
    original = type(source).read_bytes

    def read_bytes(path):
        if path.name == "1_OD_1.jpg":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(type(source), "read_bytes", read_bytes)
    _, content = run(source, tmp_path / "out")
    assert content["unreadable"] == [
        {"case": "grape-0001-R-1", "photograph": "1_OD_1.jpg", "what": "PermissionError: Permission denied"}
    ]


def test_letter_case_of_file_names_does_not_matter(make_grape, tmp_path):
    source = make_grape()
    (source / "ROIs" / "1_OD_1.jpg").rename(source / "ROIs" / "1_od_1.JPG")
    report, _ = run(source, tmp_path / "out")
    assert report.usable == 16


def test_running_again_changes_no_byte_and_writes_no_image(make_grape, tmp_path, monkeypatch):
    source, out = make_grape(), tmp_path / "out"
    run(source, out)
    before = snapshot(out)
    monkeypatch.setattr(images_module, "write_png", lambda *_: pytest.fail("an image was written again"))
    run(source, out)
    assert snapshot(out) == before


@pytest.mark.parametrize("workers", [2, 5])
def test_bytes_do_not_depend_on_the_number_of_workers(make_grape, tmp_path, workers):
    source = make_grape()
    run(source, tmp_path / "one", visits="all")
    run(source, tmp_path / "many", visits="all", workers=workers)
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "many")


@pytest.mark.parametrize("stop", [0, 1, 9])
def test_an_interrupted_conversion_is_finished_to_the_same_bytes(make_grape, tmp_path, monkeypatch, stop):
    source = make_grape()
    run(source, tmp_path / "whole")
    original, calls = images_module.write_png, []

    def interrupted(path, image):
        calls.append(path)
        if len(calls) > stop:
            raise KeyboardInterrupt
        return original(path, image)

    with monkeypatch.context() as patch:
        patch.setattr(images_module, "write_png", interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert(source, tmp_path / "out")
    assert not (tmp_path / "out" / "datalist.json").exists()

    written = []
    monkeypatch.setattr(images_module, "write_png", lambda path, image: written.append(path) or original(path, image))
    run(source, tmp_path / "out")
    assert len(written) == 16 - stop
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_a_changed_source_changes_what_depends_on_it_and_no_more(make_grape, tmp_path):
    source, out = make_grape(), tmp_path / "out"
    run(source, out)
    before = snapshot(out)
    (source / "ROIs" / "1_OD_1.jpg").write_bytes((source / "ROIs" / "1_OD_2.jpg").read_bytes())
    (source / "ROIs" / "2_OD_1.jpg").unlink()
    run(source, out)
    after = snapshot(out)
    assert "images/grape-0002-R-1.png" not in after
    changed = {name for name in after if name.startswith("images/") and after[name] != before[name]}
    assert changed == {"images/grape-0001-R-1.png"}
    run(source, tmp_path / "fresh")
    assert snapshot(tmp_path / "fresh") == after


def test_nothing_usable_leaves_a_report_and_no_datalist(make_grape, tmp_path):
    source, out = make_grape(), tmp_path / "out"
    run(source, out)
    for path in (source / "ROIs").iterdir():
        path.unlink()
    report, content = run(source, out)
    assert report.usable == 0
    assert content["visits"]["excluded"]["photograph_absent"]["count"] == 16
    assert {name for name in snapshot(out) if not name.startswith(".")} == {"report.json", "report.html"}


def test_the_source_is_only_read(make_grape, tmp_path):
    source = make_grape()
    before = snapshot(source)
    run(source, tmp_path / "out")
    assert snapshot(source) == before
    with pytest.raises(MedmdError, match="the output lies in the source folder"):
        convert(source, source / "out")
    assert snapshot(source) == before


def test_a_folder_in_use_is_left_alone(make_grape, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    with pytest.raises(MedmdError, match="files of another origin"):
        convert(make_grape(), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "workers", "message"),
    [
        ({"photograph": "left"}, 1, "photograph: expected one of crop, full, got 'left'"),
        ({"visits": "some"}, 1, "visits: expected one of first, all"),
        ({"split": SplitOptions(folds=3)}, 1, "--folds K together with --fold I"),
        ({}, 0, "workers: expected at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(make_grape, tmp_path, options, workers, message):
    with pytest.raises(MedmdError, match=message):
        convert(make_grape(), tmp_path / "out", options=Options(**options), workers=workers)
    assert not (tmp_path / "out").exists()


def test_a_release_without_the_photograph_folder_is_refused(make_grape, tmp_path):
    source = make_grape()
    (source / "CFPs").rename(source / "elsewhere")
    with pytest.raises(MedmdError, match="expected the folder 'CFPs'"):
        convert(source, tmp_path / "out", options=Options(photograph="full"))


def test_no_path_of_this_machine_is_in_the_output(make_grape, tmp_path):
    out = tmp_path / "out"
    run(make_grape(), out)
    assert not any(str(tmp_path).encode() in data for data in snapshot(out).values())
    assert json.loads((out / "report.json").read_text())["arguments"]["split"] == {
        key: value
        for key, value in asdict(SplitOptions()).items()
        if key in ("test_fraction", "validation_fraction", "seed")
    }


def test_too_few_subjects_for_the_split_can_be_written_unsplit_to_the_same_folder(make_grape, tmp_path):
    source, out = make_grape(subjects=2), tmp_path / "out"
    with pytest.raises(MedmdError, match="expected at least 3 groups of patients"):
        convert(source, out)
    report, _ = run(source, out, split=UNSPLIT)
    assert report.usable == 4


def test_the_report_is_also_a_page_for_people(make_grape, tmp_path):
    out = tmp_path / "out"
    source = make_grape(without=["1_OD_1.jpg"])
    convert(source, out)
    page = (out / "report.html").read_text()
    for text in (
        "Conversion by data_prep.grape", "done with quarantine", "<td>visits</td>", "grape-0001-R-1",
        "unpack the release&#x27;s archive again", "<h3>mean_sensitivity</h3>", "data:image/png;base64,",
    ):  # fmt: skip
        assert text in page, text
    assert "<script" not in page
    assert str(source) not in page
    first = page
    convert(source, out, workers=2)
    assert (out / "report.html").read_text() == first
