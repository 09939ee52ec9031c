import json
import shutil
from collections import Counter

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep._split import SplitOptions
from data_prep._volumes import write_volume
from data_prep.stage2 import Options, convert
from data_prep.stage2 import _eyes as eyes_module
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError, read_json, sha256_file

UNSPLIT = SplitOptions(unsplit=True)
IMAGES = "STAGE_training/training_images"
LABELS = "STAGE_training/training_GT/task1_GT_training.csv"


def run(source, out, *, workers=1, validation=None, **options):
    options.setdefault("split", UNSPLIT)
    report = convert(source, out, validation=validation, options=Options(**options), workers=workers)
    content = read_json(out / "report.json")
    for tally in ("eyes", "files"):
        found = content[tally]
        aside = sum(entry["count"] for entry in found["quarantined"].values())
        assert found["total"] == found["converted"] + found["merged"] + aside
    assert content["files"]["total"] == sum(path.is_file() for path in source.rglob("*")) + (
        sum(path.is_file() for path in validation.rglob("*")) if validation else 0
    )
    return report, content


def cases_by_id(out, name="datalist.json"):
    return {case.case_id: case for _, case in load_datalist(out / name).cases()}


def quarantined(content, tally="eyes"):
    return {reason: entry["items"] for reason, entry in content[tally]["quarantined"].items()}


def test_stage_2024_pixels_labels_and_people(stage2024, tmp_path):
    out = tmp_path / "out"
    run(stage2024, out)
    cases = cases_by_id(out)
    labels = pd.read_csv(stage2024 / LABELS).set_index("ID")["MD"]
    people = pd.read_excel(stage2024 / "STAGE_training" / "data_info_training.xlsx").set_index("ID")
    assert len(cases) == len(labels) == 10
    for number, person in people.iterrows():
        case = cases[f"stage2024-{number:04d}"]
        folder = stage2024 / IMAGES / f"{number:04d}"
        volume = np.asanyarray(nibabel.load(out / case.inputs["oct"]).dataobj)
        assert volume.shape == (32, 48, 12)
        for z in range(12):
            with Image.open(folder / f"{z}_image.jpg") as original:
                np.testing.assert_array_equal(volume[:, :, z].T, np.asarray(original))
        with Image.open(folder / f"{number:04d}.jpg") as original, Image.open(out / case.inputs["fundus"]) as written:
            assert (written.format, written.mode, written.info) == ("PNG", "RGB", {})
            np.testing.assert_array_equal(np.asarray(written), np.asarray(original))
        assert case.target == labels[number]
        assert (case.age, case.sex) == (person["age"], person["gender"][0].upper())
        assert case.laterality == {"OD": "R", "OS": "L"}[person["eye"]]
        assert case.details == {"glaucoma_stage": person["Glaucoma_stage"], "release_id": f"{number:04d}"}
        assert case.hashes == {name: sha256_file(out / case.inputs[name]) for name in ("oct", "fundus")}
        assert case.patient_id_is_surrogate


def test_the_release_names_no_patients_and_the_datalist_says_so(stage2024, tmp_path):
    run(stage2024, tmp_path / "out")
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert "names no patients" in datalist.header.description
    assert check_datalist(tmp_path / "out" / "datalist.json").summary["surrogate_patients"] == 10


def test_the_stage_is_a_column_and_no_input_unless_asked_for(stage2024, tmp_path):
    run(stage2024, tmp_path / "plain")
    run(stage2024, tmp_path / "parity", stage_input=True, split=SplitOptions(folds=4, fold=0))
    plain, parity = (load_datalist(tmp_path / name / "datalist.json") for name in ("plain", "parity"))
    assert list(plain.header.inputs) == ["oct", "fundus"]
    assert list(parity.header.inputs) == ["oct", "fundus", "stage"]
    assert "derived from the visual field" in parity.header.inputs["stage"].details["description"]
    for _, case in parity.cases():
        order = parity.header.inputs["stage"].details["components"]
        assert order[int(np.argmax(case.inputs["stage"]))] == case.details["glaucoma_stage"]
        assert sum(case.inputs["stage"]) == 1
    assert check_datalist(tmp_path / "parity" / "datalist.json").ok


def test_validation_has_no_labels_and_its_own_datalist(stage2024, tmp_path):
    run(stage2024, tmp_path / "out")
    path = tmp_path / "out" / "datalist_validation.json"
    datalist = load_datalist(path)
    assert list(datalist.splits) == ["unsplit"]
    assert [case.target for _, case in datalist.cases()] == [None] * 3
    assert datalist.header.details["release_ids"] == ["0021", "0022", "0023"]
    assert all(case.laterality for _, case in datalist.cases())
    assert check_datalist(path).ok
    assert not (tmp_path / "out" / "datalist_testing.json").exists()


def test_stage_2023_has_one_input(stage2023, tmp_path):
    report, content = run(stage2023, tmp_path / "out")
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert list(datalist.header.inputs) == ["oct"]
    assert report.usable == 11
    assert content["source"]["layout"] == "stage2023"
    assert content["missing_inputs"] == {"oct": [], "fundus": [f"stage2023-{n:04d}" for n in (*range(1, 9), 11, 12, 13)]}  # fmt: skip # noqa: E501
    assert content["columns"]["STAGE_training/training_GT/task1_GT_training.xlsx"]["md"] == "column 2 by its name 'MD'"


def test_gamma_gives_grades_and_eyes_of_one_number_in_two_parts_are_told_apart(gamma, tmp_path):
    report, content = run(gamma, tmp_path / "out")
    train, test = cases_by_id(tmp_path / "out"), cases_by_id(tmp_path / "out", "datalist_testing.json")
    assert (len(train), len(test), report.usable) == (6, 3, 9)
    assert set(test) == {f"gamma-testing-{n:04d}" for n in (1, 2, 3)}
    assert {case.details["release_id"]: case.target for case in test.values()} == {"0001": 1, "0002": 2, "0003": 0}
    assert {"gamma-training-0001", "gamma-0004"} <= set(train)
    target = load_datalist(tmp_path / "out" / "datalist.json").header.target
    assert (target.name, target.kind, target.range) == ("glaucoma_grade", "class", (0, 2))
    assert len(content["without_laterality"]) == 9
    assert check_datalist(tmp_path / "out" / "datalist.json").ok


def test_sizes_are_read_not_assumed(stage2024, tmp_path):
    folder = stage2024 / IMAGES / "0003"
    for path in folder.glob("*_image.jpg"):
        path.unlink()
    for number in range(1, 21):
        Image.fromarray(np.random.RandomState(number).randint(0, 255, (30, 70)).astype(np.uint8)).save(
            folder / f"{number}_image.jpg"
        )
    _, content = run(stage2024, tmp_path / "out")
    assert content["sizes"]["oct"] == [{"size": [32, 48, 12], "count": 12}, {"size": [70, 30, 20], "count": 1}]
    image = nibabel.load(tmp_path / "out" / "oct" / "stage2024-0003.nii.gz")
    np.testing.assert_allclose(image.header.get_zooms(), (3 / 70, 0.0026, 3 / 20), rtol=1e-6)


def test_spacing_is_assumed_and_said_or_given(stage2024, tmp_path):
    run(stage2024, tmp_path / "a")
    run(stage2024, tmp_path / "b", spacing_mm=(0.01, 0.002, 0.02))
    assumed, given = (
        load_datalist(tmp_path / name / "datalist.json").header.inputs["oct"].details["spacing_source"] for name in "ab"
    )
    assert assumed.startswith("assumed")
    assert given == "given to the converter"
    image = nibabel.load(tmp_path / "b" / "oct" / "stage2024-0001.nii.gz")
    np.testing.assert_allclose(image.header.get_zooms(), (0.01, 0.002, 0.02), rtol=1e-6)


def test_everything_that_is_set_aside_has_its_reason(stage2024, tmp_path):
    images = stage2024 / IMAGES
    (images / "0001" / "5_image.jpg").unlink()
    (images / "0002" / "3_image.jpg").write_bytes((images / "0002" / "3_image.jpg").read_bytes()[:200])
    (images / "0003" / "0003.jpg").write_bytes(b"")
    shutil.copy(images / "0004" / "4_image.jpg", images / "0004" / "04_image.jpg")
    shutil.copy(images / "0005" / "0005.jpg", images / "0005" / "0005.png")
    shutil.rmtree(images / "0006")
    (images / "0007" / "0007.jpg").unlink()
    (images / "0007" / "0_image.jpg").write_bytes(b"no image")
    for number in range(12):
        Image.new("L", (32, 48), 9).save(images / "0008" / f"{number}_image.jpg")
    text = (stage2024 / LABELS).read_text(encoding="utf-8-sig").replace("9,-8.5", "9,").replace("10,-9.4", "10,-94")
    (stage2024 / LABELS).write_text(text + "12,-3\n?,1\n")
    report, content = run(stage2024, tmp_path / "out")
    assert quarantined(content) == {
        "images_absent": ["stage2024-0006", "stage2024-0012"],
        "slice_unreadable": ["stage2024-0007"],
        "label_missing": ["stage2024-0009"],
        "label_out_of_range": ["stage2024-0010"],
        "row_without_id": [f"{LABELS}, row 13"],
    }
    files = quarantined(content, "files")
    assert {reason: len(items) for reason, items in files.items()} == {
        "slices_missing": 11, "slice_unreadable": 24, "fundus_unreadable": 1, "slice_twice": 13, "fundus_twice": 2,
        "oct_blank": 12, "eye_set_aside": 26, "other_task": 1, "system_file": 3,
    }  # fmt: skip
    assert f"{IMAGES}/0005/0005.png" in files["fundus_twice"]
    cases = cases_by_id(tmp_path / "out")
    assert {case_id[-2:]: case.present for case_id, case in cases.items()} == {
        "01": ("fundus",), "02": ("fundus",), "03": ("oct",), "04": ("fundus",), "05": ("oct",), "08": ("fundus",),
    }  # fmt: skip
    assert report.faulty
    assert {entry["eye"][-2:]: entry["what"] for entry in content["image_faults"]}["01"] == "number 5 missing, 11 there"
    assert set(content["reasons"]) == set(quarantined(content)) | set(files) == set(content["fixes"])
    assert check_datalist(tmp_path / "out" / "datalist.json").ok
    written = Counter(path.suffix for path in (tmp_path / "out").rglob("stage2024-*"))
    assert written == {".gz": 2 + 3, ".png": 5 - 1 + 3}


def test_quarantine_points_and_copies_nothing(stage2024, tmp_path):
    (stage2024 / "secret.bin").write_bytes(b"QUARANTINED-BYTES")
    _, content = run(stage2024, tmp_path / "out")
    assert quarantined(content, "files")["not_of_the_release"] == ["secret.bin"]
    assert not any(
        b"QUARANTINED-BYTES" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()
    )


def test_identical_eyes_are_reported_and_kept_in_one_list(stage2024, tmp_path):
    for first, second in ((1, 5), (2, 8)):
        target = stage2024 / IMAGES / f"{second:04d}"
        shutil.rmtree(target)
        shutil.copytree(stage2024 / IMAGES / f"{first:04d}", target)
        (target / f"{first:04d}.jpg").rename(target / f"{second:04d}.jpg")
    _, content = run(stage2024, tmp_path / "out", split=SplitOptions(test_fraction=0.3, validation_fraction=0.3))
    assert content["identical_images"] == [["stage2024-0001", "stage2024-0005"], ["stage2024-0002", "stage2024-0008"]]
    home = {case.case_id: split for split, case in load_datalist(tmp_path / "out" / "datalist.json").cases()}
    assert home["stage2024-0001"] == home["stage2024-0005"]
    assert home["stage2024-0002"] == home["stage2024-0008"]


def test_a_limit_takes_the_first_of_every_part_and_is_no_fault(stage2024, tmp_path):
    report, content = run(stage2024, tmp_path / "out", limit=2)
    assert set(cases_by_id(tmp_path / "out")) == {"stage2024-0001", "stage2024-0002"}
    assert len(cases_by_id(tmp_path / "out", "datalist_validation.json")) == 2
    assert len(quarantined(content)["beyond_limit"]) == 9
    assert not report.faulty


def test_a_validation_part_elsewhere_is_converted_too(stage2024, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(stage2024 / "STAGE_validation", elsewhere)
    _, content = run(stage2024, tmp_path / "out", validation=elsewhere)
    assert len(cases_by_id(tmp_path / "out", "datalist_validation.json")) == 3
    assert content["source"]["parts"]["validation"]["images"] == "--validation/validation_images"
    with pytest.raises(MedmdError, match="lies in the source folder"):
        convert(stage2024, elsewhere / "out", validation=elsewhere)


def test_without_an_info_table_the_side_is_unknown(stage2024, tmp_path):
    (stage2024 / "STAGE_training" / "data_info_training.xlsx").unlink()
    _, content = run(stage2024, tmp_path / "out")
    assert len(content["without_laterality"]) == 10
    assert {case.laterality for case in cases_by_id(tmp_path / "out").values()} == {None}


def test_the_page_and_the_sheet_show_the_conversion(stage2024, tmp_path):
    (stage2024 / IMAGES / "0001" / "5_image.jpg").unlink()
    run(stage2024, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    for text in ("done with quarantine", "slices are not complete", "unpack the archive again", "<svg", "base64,",
                 "L: 5, R: 5", "stage2024", "isal"):  # fmt: skip
        assert text in page
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.width > 500


@pytest.mark.parametrize("workers", [1, 2])
def test_running_again_changes_no_byte_and_writes_no_image(stage2024, tmp_path, monkeypatch, snapshot, workers):
    out = tmp_path / "out"
    run(stage2024, out)
    before = snapshot(out)
    with monkeypatch.context() as patch:
        patch.setattr(eyes_module, "write_volume", lambda *_, **__: pytest.fail("a volume was written again"))
        patch.setattr(eyes_module, "write_png", lambda *_: pytest.fail("a photograph was written again"))
        run(stage2024, out, workers=workers)
    assert snapshot(out) == before
    run(stage2024, tmp_path / "other", workers=workers)
    assert snapshot(tmp_path / "other") == before


def test_an_interrupted_conversion_is_finished_to_the_same_bytes(stage2024, tmp_path, monkeypatch, snapshot):
    run(stage2024, tmp_path / "whole")
    calls = []

    def interrupted(path, slices, **options):
        calls.append(path)
        if len(calls) > 4:
            next(iter(slices))
            raise KeyboardInterrupt
        return write_volume(path, slices, **options)

    with monkeypatch.context() as patch:
        patch.setattr(eyes_module, "write_volume", interrupted)
        with pytest.raises(KeyboardInterrupt):
            convert(stage2024, tmp_path / "out", options=Options(split=UNSPLIT))
    assert not (tmp_path / "out" / "datalist.json").exists()
    run(stage2024, tmp_path / "out")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_a_changed_slice_changes_its_volume_and_no_other(stage2024, tmp_path, snapshot):
    out = tmp_path / "out"
    run(stage2024, out)
    before = snapshot(out)
    shutil.copy(stage2024 / IMAGES / "0002" / "5_image.jpg", stage2024 / IMAGES / "0001" / "5_image.jpg")
    run(stage2024, out)
    after = snapshot(out)
    changed = {name for name in after if name.startswith(("oct/", "fundus/")) and after[name] != before[name]}
    assert changed == {"oct/stage2024-0001.nii.gz"}


def test_nothing_usable_leaves_a_report_and_no_datalist(stage2024, tmp_path, snapshot):
    for path in stage2024.rglob("*.jpg"):
        path.write_bytes(b"")
    report, content = run(stage2024, tmp_path / "out")
    assert report.usable == 0
    assert len(quarantined(content)["slice_unreadable"]) == 13
    assert {name for name in snapshot(tmp_path / "out") if not name.startswith(".")} == {"report.json", "report.html"}


def test_the_source_is_only_read_and_a_folder_in_use_left_alone(stage2024, tmp_path, snapshot):
    before = snapshot(stage2024)
    run(stage2024, tmp_path / "out")
    assert snapshot(stage2024) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(MedmdError, match="files of another origin"):
        convert(stage2024, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "workers", "message"),
    [
        ({"limit": 0}, 1, "limit: expected at least 1"),
        ({"spacing_mm": (0.1, 0.0, 0.1)}, 1, "spacing: expected three numbers"),
        ({"split": SplitOptions(folds=3)}, 1, "--folds K together with --fold I"),
        ({}, 0, "workers: expected at least 1"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(stage2024, tmp_path, options, workers, message):
    with pytest.raises(MedmdError, match=message):
        convert(stage2024, tmp_path / "out", options=Options(**options), workers=workers)
    assert not (tmp_path / "out").exists()


def test_no_path_or_comment_of_the_source_is_in_the_output(stage2024, tmp_path, snapshot):
    run(stage2024, tmp_path / "out")
    for data in snapshot(tmp_path / "out").values():
        assert str(tmp_path).encode() not in data
        assert b"SECRET" not in data
    assert json.loads((tmp_path / "out" / "report.json").read_text())["versions"]["isal"]


def test_a_file_that_may_not_be_opened_is_set_aside(stage2024, tmp_path, monkeypatch):
    original = type(stage2024).read_bytes

    def read_bytes(path):
        if path.name in ("7_image.jpg", "0002.jpg") and path.parent.name == "0002":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(type(stage2024), "read_bytes", read_bytes)
    _, content = run(stage2024, tmp_path / "out")
    assert quarantined(content) == {"slice_unreadable": ["stage2024-0002"]}
    assert {entry["what"] for entry in content["image_faults"]} == {"PermissionError: Permission denied"}
