import shutil

import nibabel
import numpy as np
import pytest
from harvard_release import MD, SIZE, arrays, thickness, volume, write_sample
from PIL import Image

from data_prep._split import SplitOptions
from data_prep._thickness import decode, read_map
from data_prep.harvard_gf import Options, convert
from medmd.data import check_datalist, load_datalist
from medmd.utils import MedmdError, read_json, sha256_file

TRAINING, TEST = "Dataset/Training", "Dataset/Test"


def run(source, out, *, workers=1, **options):
    report = convert(source, out, options=Options(**options), workers=workers)
    content = read_json(out / "report.json")
    for tally in ("samples", "files", "images"):
        found = content[tally]
        aside = sum(entry["count"] for entry in found["quarantined"].values())
        assert found["total"] == found["converted"] + found["merged"] + aside
    assert content["files"]["total"] == sum(path.is_file() for path in source.rglob("*"))
    return report, content


def cases_of(out):
    return {case.case_id: case for _, case in load_datalist(out / "datalist.json").cases()}


def quarantined(content, tally="samples"):
    return {reason: entry["items"] for reason, entry in content[tally]["quarantined"].items()}


def test_pixels_labels_and_people(gf, tmp_path):
    out = tmp_path / "out"
    report, content = run(gf, out)
    cases = cases_of(out)
    assert len(cases) == report.usable == 14
    assert not report.faulty
    for number in range(1, 15):
        case = cases[f"harvard_gf-{number:04d}"]
        image = nibabel.load(out / case.inputs["oct"])
        np.testing.assert_array_equal(np.asanyarray(image.dataobj), volume(number).transpose(2, 1, 0))
        np.testing.assert_allclose(image.header.get_zooms(), (6 / SIZE, 2 / SIZE, 6 / SIZE), rtol=1e-6)
        np.testing.assert_allclose(decode(read_map(out / case.inputs["rnfl_map"])), thickness(number), atol=0.006)
        assert case.target == MD[number]
        assert (case.age, case.sex, case.laterality) == (40.5 + number, "FM"[number % 2], None)
        assert case.patient_id == case.case_id
        assert case.patient_id_is_surrogate
        assert case.details == {"release_id": f"{number:04d}", "glaucoma": int(MD[number] < -3)}
        assert case.hashes == {name: sha256_file(out / case.inputs[name]) for name in ("oct", "rnfl_map")}
    assert content["race"] == {"asian": 4, "black or african american": 5, "white or caucasian": 5}
    assert content["ethnicity"] == {"hispanic": 5, "non-hispanic": 5, "unknown": 4}
    assert content["sizes"]["rnfl_map"] == [{"size": [SIZE, SIZE], "count": 14}]
    pixels = content["map_pixels"]
    assert pixels["cup"] == 14 * int((thickness(1) == -2).sum())
    assert pixels["invalid"] == 0


def test_the_parts_of_the_release_are_the_lists(gf, tmp_path):
    run(gf, tmp_path / "out")
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert {split: len(cases) for split, cases in datalist.splits.items()} == {
        "training": 8, "validation": 3, "testing": 3,
    }  # fmt: skip
    assert [case.case_id[-4:] for case in datalist.splits["testing"]] == ["0012", "0013", "0014"]
    assert "names no patients" in datalist.header.description
    assert datalist.header.inputs["oct"].details["spacing_source"].startswith("assumed")
    assert "16-bit" in datalist.header.inputs["rnfl_map"].details["code"]
    assert "CC BY-NC-ND" in datalist.header.details["licence"]
    assert check_datalist(tmp_path / "out" / "datalist.json").ok


@pytest.mark.parametrize(
    ("options", "lists"),
    [
        ({"resplit": True, "split": SplitOptions(test_fraction=0.5, validation_fraction=0)}, {"training", "testing"}),
        ({"split": SplitOptions(unsplit=True)}, {"unsplit"}),
        ({"split": SplitOptions(folds=2, fold=0)}, None),
    ],
)
def test_the_parts_are_left_when_another_split_is_asked_for(gf, tmp_path, options, lists):
    _, content = run(gf, tmp_path / "out", **options)
    found = load_datalist(tmp_path / "out" / "datalist.json").splits
    assert content["source"]["split"] == "made by the converter"
    assert lists is None or set(found) == lists
    assert sum(map(len, found.values())) == 14


def test_one_part_alone_is_that_list(gf, tmp_path):
    run(gf / TEST, tmp_path / "out")
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert {split: len(cases) for split, cases in datalist.splits.items()} == {"testing": 3}


def test_numbers_that_start_again_in_every_part_are_told_apart(tmp_path):
    for part in ("train", "test"):
        for number in (1, 2, 3, 4):
            write_sample(tmp_path / "gf" / part, number + (10 if part == "test" else 0), oct_volume=True)
    for number in (1, 2, 3, 4):
        path = tmp_path / "gf" / "test" / f"data_{number + 10:04d}.npz"
        path.rename(path.with_name(f"data_{number:04d}.npz"))
    run(tmp_path / "gf", tmp_path / "out")
    assert set(cases_of(tmp_path / "out")) == {
        f"harvard_gf-{part}-{number:04d}" for part in ("training", "testing") for number in (1, 2, 3, 4)
    }


def test_subgroups_stand_beside_the_cases_only_when_asked_for(gf, tmp_path):
    run(gf, tmp_path / "out", subgroups=True)
    case = cases_of(tmp_path / "out")["harvard_gf-0001"]
    assert case.details["race"] == "black or african american"
    assert case.details["ethnicity"] == "non-hispanic"
    assert set(load_datalist(tmp_path / "out" / "datalist.json").header.inputs) == {"oct", "rnfl_map"}


def test_race_as_a_word_is_understood_and_other_texts_are_not_passed_on(gf, tmp_path):
    folder = gf / TRAINING
    write_sample(folder, 1, oct_volume=True, race=np.array("Asian"))
    write_sample(folder, 2, oct_volume=True, race=np.array("Jane Canary"), pid=np.array("4711_1_0203041530"))
    write_sample(folder, 3, oct_volume=True, race=-1, datadir=np.array("/scans/CANARY"))
    write_sample(folder, 4, oct_volume=True, race=np.array(["Asian"], dtype=object))
    run(gf, tmp_path / "out", subgroups=True)
    cases = cases_of(tmp_path / "out")
    races = [cases[f"harvard_gf-{number:04d}"].details["race"] for number in (1, 2, 3, 4)]
    assert races == ["asian", "unknown", "unknown", "unknown"]
    for path in (tmp_path / "out").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert b"anary" not in content.lower()
        assert b"4711" not in content


def test_age_is_capped_and_nonsense_is_none(gf, tmp_path):
    for number, age in ((1, 97.0), (2, -1), (3, np.nan), (4, None), (5, np.array([50.0, 60.0]))):
        write_sample(gf / TRAINING, number, oct_volume=True, age=age)
    _, content = run(gf, tmp_path / "out")
    cases = cases_of(tmp_path / "out")
    assert [cases[f"harvard_gf-{number:04d}"].age for number in range(1, 6)] == [90, None, None, None, None]
    assert content["without_age"] == 4


def test_an_input_that_is_not_there_or_cannot_be_used_is_missing(gf, tmp_path):
    folder = gf / TRAINING
    write_sample(folder, 1, oct_volume=True, oct_bscans=None)
    write_sample(folder, 2, oct_volume=True, rnflt=None)
    write_sample(folder, 3, oct_volume=True, oct_bscans=np.zeros((SIZE,) * 3, np.uint8))
    write_sample(folder, 4, oct_volume=True, oct_bscans=volume(4) / 255)
    write_sample(folder, 5, oct_volume=True, oct_bscans=volume(5)[0])
    write_sample(folder, 6, oct_volume=True, rnflt=np.full((SIZE, SIZE), np.nan))
    write_sample(folder, 7, oct_volume=True, rnflt=thickness(7).astype(str))
    write_sample(folder, 8, oct_volume=True, rnflt=np.ones((4, 4)), oct_bscans=volume(8).astype(float))
    report, content = run(gf, tmp_path / "out")
    cases = cases_of(tmp_path / "out")
    present = [cases[f"harvard_gf-{number:04d}"].present for number in range(1, 9)]
    assert present == [("rnfl_map",), ("oct",), *[("rnfl_map",)] * 3, *[("oct",)] * 3]
    assert {entry["sample"][-4:]: entry["reason"] for entry in content["image_faults"]} == {
        "0003": "oct_blank", "0004": "oct_values", "0005": "oct_shape", "0006": "map_empty", "0007": "map_values",
        "0008": "map_shape",
    }  # fmt: skip
    assert content["missing_inputs"]["oct"] == [f"harvard_gf-{number:04d}" for number in (1, 3, 4, 5)]
    # Whole numbers as floats are grey values all the same.
    image = nibabel.load(tmp_path / "out" / cases["harvard_gf-0008"].inputs["oct"])
    assert image.get_data_dtype() == np.uint8
    assert report.usable == 14
    # Every sample is used, and yet somebody should look.
    assert quarantined(content) == {}
    assert quarantined(content, "images")["oct_blank"] == ["harvard_gf-0003 oct"]
    assert content["images"]["total"] == 14 * 2 - 2
    assert report.faulty
    assert check_datalist(tmp_path / "out" / "datalist.json").ok


def test_an_image_that_needs_pickle_is_set_aside_alone(gf, tmp_path):
    write_sample(gf / TRAINING, 1, oct_volume=True, oct_bscans=volume(1).astype(object))
    _, content = run(gf, tmp_path / "out")
    assert quarantined(content, "images") == {"array_needs_pickle": ["harvard_gf-0001 oct"]}
    assert cases_of(tmp_path / "out")["harvard_gf-0001"].present == ("rnfl_map",)


def test_everything_that_is_set_aside_has_its_reason(gf, tmp_path):
    folder = gf / TRAINING
    write_sample(folder, 1, oct_volume=True, md=None)
    write_sample(folder, 2, oct_volume=True, md=np.nan)
    write_sample(folder, 3, oct_volume=True, md=-77.0)
    write_sample(folder, 4, oct_volume=True, md=np.array([-3.0], dtype=object))
    (folder / "data_0005.npz").write_bytes((folder / "data_0005.npz").read_bytes()[:300])
    shutil.copy(folder / "data_0006.npz", folder / "data_00006.npz")
    write_sample(folder, 7, oct_volume=True, rnflt=np.zeros((3, 3)), oct_bscans=np.zeros((20, 20, 20), np.uint8))
    write_sample(folder, 8, oct_volume=True, rnflt=None, oct_bscans=np.zeros((20, 20, 20), np.uint8))
    np.savez(gf / "unlabel_flags.npz", flags=np.zeros(3))
    report, content = run(gf, tmp_path / "out")
    ids = {reason: [name[-4:] for name in names] for reason, names in quarantined(content).items()}
    assert ids == {
        "label_missing": ["0001", "0002"], "label_out_of_range": ["0003"], "array_needs_pickle": ["0004"],
        "npz-damaged": ["0005"], "sample_twice": ["0006"], "no_usable_image": ["0007"], "oct_blank": ["0008"],
    }  # fmt: skip
    files = quarantined(content, "files")
    assert files["not_of_the_release"] == ["unlabel_flags.npz"]
    assert files["sample_twice"] == [f"{TRAINING}/data_00006.npz", f"{TRAINING}/data_0006.npz"]
    assert files["document"] == ["README.md"]
    assert files["system_file"] == ["Dataset/.DS_Store"]
    images = quarantined(content, "images")
    assert set(images) == {"map_shape", "oct_blank"}
    assert set(content["reasons"]) == set(ids) | set(files) | set(images) == set(content["fixes"])
    assert report.faulty
    assert report.usable == 6
    assert {path.name for path in (tmp_path / "out" / "rnfl_map").iterdir()} == {
        f"harvard_gf-{number:04d}.png" for number in range(9, 15)
    }


def test_an_image_of_two_parts_stays_in_the_later_one(gf, tmp_path):
    write_sample(gf / TRAINING, 1, oct_volume=True, rnflt=thickness(12))
    write_sample(gf / TRAINING, 2, oct_volume=True, oct_bscans=volume(3))
    _, content = run(gf, tmp_path / "out")
    assert quarantined(content)["in_two_parts"] == ["harvard_gf-0001"]
    assert quarantined(content, "images")["in_two_parts"] == ["harvard_gf-0001 oct", "harvard_gf-0001 rnfl_map"]
    assert content["identical_images"] == [["harvard_gf-0002", "harvard_gf-0003"]]
    assert not (tmp_path / "out" / "oct" / "harvard_gf-0001.nii.gz").exists()
    assert check_datalist(tmp_path / "out" / "datalist.json").ok


def test_limit_is_of_each_part(gf, tmp_path):
    report, content = run(gf, tmp_path / "out", limit=2)
    assert {split: len(cases) for split, cases in load_datalist(tmp_path / "out" / "datalist.json").splits.items()} == {
        "training": 2, "validation": 2, "testing": 2,
    }  # fmt: skip
    assert len(quarantined(content)["beyond_limit"]) == 8
    assert not report.faulty


SUMMARY = "filename,age,gender,race,ethnicity,md,use\n"


def flat(root, numbers, **changes):
    for number in numbers:
        write_sample(root, number, oct_volume=True, **changes)
    return root


def test_a_summary_table_gives_parts_and_people_that_the_samples_lack(tmp_path):
    source = flat(tmp_path / "gf", range(1, 5), age=None, male=None, race=None, ethnicity=None, md=None)
    uses = {1: "training", 2: "validation", 3: "test", 4: "test", 9: "test"}
    rows = "".join(f"data_{n:04d}.npz,{60 + n},Female,Asian,Non-Hispanic,{-n},{use}\n" for n, use in uses.items())
    (source / "data_summary.csv").write_text(SUMMARY + rows + ",1,,,,,\n")
    _, content = run(source, tmp_path / "out", subgroups=True)
    datalist = load_datalist(tmp_path / "out" / "datalist.json")
    assert {split: len(cases) for split, cases in datalist.splits.items()} == {
        "training": 1, "validation": 1, "testing": 2,
    }  # fmt: skip
    case = cases_of(tmp_path / "out")["harvard_gf-0003"]
    assert (case.age, case.sex, case.target) == (63, "F", -3)
    assert (case.details["race"], case.details["ethnicity"]) == ("asian", "non-hispanic")
    assert quarantined(content)["row_without_sample"] == ["harvard_gf-0009"]


def test_a_table_that_contradicts_the_sample_sets_it_aside(tmp_path):
    source = flat(tmp_path / "gf", range(1, 5))
    (source / "data_summary_x.csv").write_text(SUMMARY + "data_0001.npz,,,,,-9,training\ndata_0002,,,,,-0.4,\n")
    with pytest.raises(MedmdError, match="Some samples lie in parts"):
        convert(source, tmp_path / "out", options=Options())
    (source / "data_summary_x.csv").write_text(SUMMARY + "data_0001.npz,,,,,-9,\ndata_0002,,,,,-0.4,\n")
    _, content = run(source, tmp_path / "out", split=SplitOptions(unsplit=True))
    assert quarantined(content) == {"label_contradictory": ["harvard_gf-0001"]}


def test_tables_that_cannot_be_used_are_told(gf, tmp_path):
    (gf / "data_summary.csv").write_text("name,md\nx,1\n")
    with pytest.raises(MedmdError, match="expected a column filename"):
        convert(gf, tmp_path / "out")
    (gf / "data_summary_2.csv").write_text(SUMMARY)
    with pytest.raises(MedmdError, match="Two summary tables"):
        convert(gf, tmp_path / "out")
    (gf / "data_summary_2.csv").unlink()
    write_sample(gf / TEST, 1, oct_volume=True)
    with pytest.raises(MedmdError, match="several parts bear one number"):
        convert(gf, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "text"),
    [({"limit": 0}, "limit: expected at least 1"), ({"split": SplitOptions(folds=3)}, "--folds K together")],
)
def test_wrong_options(gf, tmp_path, options, text):
    with pytest.raises(MedmdError, match=text):
        convert(gf, tmp_path / "out", options=Options(**options))
    assert not (tmp_path / "out").exists()


def test_no_release_no_output(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "absent"):
        with pytest.raises(MedmdError, match="Harvard-GF"):
            convert(tmp_path / source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_usable(tmp_path):
    source = flat(tmp_path / "gf", (1, 2), md=np.nan)
    report, _ = run(source, tmp_path / "out")
    assert report.usable == 0
    assert not (tmp_path / "out" / "datalist.json").exists()
    assert "nothing usable" in (tmp_path / "out" / "report.html").read_text()


def test_the_source_is_only_read_and_a_second_run_changes_nothing(gf, tmp_path):
    before = {path: path.read_bytes() for path in gf.rglob("*") if path.is_file()}
    run(gf, tmp_path / "out")
    first = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "out").rglob("*.nii.gz")}
    everything = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    run(gf, tmp_path / "out", workers=2)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first} == first
    assert {path: path.read_bytes() for path in everything} == everything
    assert {path: path.read_bytes() for path in gf.rglob("*") if path.is_file()} == before


def test_the_contact_sheet_shows_scan_and_map(gf, tmp_path):
    run(gf, tmp_path / "out")
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape[1] > 6 * 180
    assert pixels.std() > 20
    page = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "white or caucasian" in page


def test_what_the_fixture_writes_is_the_documented_layout():
    assert {"rnflt", "oct_bscans", "glaucoma", "md", "tds", "age", "male", "race", "ethnicity", "language"} <= set(
        arrays(1, oct_volume=True)
    )
