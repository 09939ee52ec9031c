import json

import numpy as np
import pytest
from PIL import Image
from releases import write_bone_age
from training import train_once

from data_prep.rsna_bone_age.__main__ import main
from medmd.cli import main as medmd
from medmd.data import load_datalist


def sizes(out):
    return {name: len(cases) for name, cases in load_datalist(out / "datalist.json").splits.items()}


def aside(out):
    report = json.loads((out / "report.json").read_text())
    return {reason: entry["items"] for reason, entry in report["radiographs"]["quarantined"].items()}


def test_months_sex_and_pixels(tmp_path):
    source, out = write_bone_age(tmp_path / "rsna"), tmp_path / "out"
    assert main([str(source), str(out), "--workers", "1"]) == 0
    cases = {case.case_id: case for _, case in load_datalist(out / "datalist.json").cases()}
    assert len(cases) == 30
    for number in (1378, 1399):
        case = cases[f"boneage-training-{number}"]
        assert (case.target, case.sex) == (number * 7 % 220 + 5, "FM"[number % 2 == 0])
        assert case.inputs["sex"] == [float(number % 2 == 0)]
        assert case.patient_id_is_surrogate
        before = source / "boneage-training-dataset" / "boneage-training-dataset" / f"{number}.png"
        with Image.open(before) as first, Image.open(out / case.inputs["hand"]) as second:
            np.testing.assert_array_equal(np.asarray(first.convert("RGB")), np.asarray(second))
    assert cases["boneage-validation-1502"].sex == "M"
    assert medmd(["check", str(out)]) == 0
    # The test part has no ages: the validation part is tested on.
    assert sizes(out)["testing"] == 6
    assert aside(out) == {"label_absent": [f"boneage-testing-{number}" for number in range(4360, 4364)]}


def test_the_three_parts_when_the_test_part_has_ages(tmp_path):
    source = write_bone_age(tmp_path / "rsna", test_ages=True)
    assert main([str(source), str(tmp_path / "out")]) == 0
    assert sizes(tmp_path / "out") == {"training": 24, "validation": 6, "testing": 4}
    found = {
        case.details["release_id"]: case for case in load_datalist(tmp_path / "out" / "datalist.json").splits["testing"]
    }
    # 4361 * 7 mod 220 is 167.
    assert (found["4361"].target, found["4361"].sex) == (172.5, "F")


def test_the_official_zips_with_one_name_for_all_tables(tmp_path, capsys):
    """Folders tell the part where the tables' names do not, and a table of other columns is left alone."""
    source = write_bone_age(tmp_path / "rsna", test_ages=True)
    for part in ("training", "validation"):
        home = source / f"Bone Age {part.title()} Set"
        home.mkdir()
        (source / f"boneage-{part}-dataset.csv").rename(home / "table.csv")
    (source / "Bone Age Training Set" / "sizes.csv").write_text("id,bytes\n1377,5\n")
    (source / "boneage-test-dataset.csv").write_text("Case ID,Sex\n4360,M\n")
    (source / "9.png").write_bytes(b"")
    assert main([str(source), str(tmp_path / "out")]) == 0
    assert sizes(tmp_path / "out") == {"training": 24, "validation": 6, "testing": 4}
    said = capsys.readouterr().out
    assert "tables not used: sizes.csv, boneage-test-dataset.csv" in said
    assert "photographs that no table lists: 1" in said
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "Bone Age Training Set/table.csv" in report["source"]


def test_what_systems_put_beside_the_files_is_not_looked_at(tmp_path, capsys):
    source = write_bone_age(tmp_path / "rsna", test_ages=True)
    (source / "__MACOSX").mkdir()
    for name in (
        "._boneage-training-dataset.csv",
        "__MACOSX/boneage-training-dataset.csv",
        "~$train.xlsx",
        "._1377.png",
    ):
        (source / name).write_bytes(b"\0\5\x16\7")
    assert main([str(source), str(tmp_path / "out")]) == 0
    assert "not used" not in (said := capsys.readouterr().out)
    assert "no table lists" not in said


def test_what_cannot_be_used_is_set_aside(tmp_path):
    source, out = write_bone_age(tmp_path / "rsna"), tmp_path / "out"
    table = source / "boneage-training-dataset.csv"
    photographs = source / "boneage-training-dataset" / "boneage-training-dataset"
    lines = table.read_text().splitlines()
    lines[1], lines[2] = "1377,old,True", "1378,300,False"
    lines += [lines[3], "abc,12,True", "1999,60,perhaps"]
    table.write_text("\n".join(lines))
    (photographs / "1380.png").unlink()
    (photographs / "1381.png").write_bytes(b"no picture")
    (source / "1382.png").write_bytes((photographs / "1382.png").read_bytes())
    assert main([str(source), str(out)]) == 3
    found = aside(out)
    assert found.pop("label_absent")
    assert found == {
        "label_unreadable": ["boneage-training-1377"], "label_out_of_range": ["boneage-training-1378"],
        "row_twice": ["training, 1379"], "row_without_id": ["training, abc"],
        "photograph_absent": ["boneage-training-1380", "boneage-training-1999"],
        "photograph_unreadable": ["boneage-training-1381"], "photograph_twice": ["boneage-training-1382"],
    }  # fmt: skip


def test_another_layout_is_told_in_one_message(tmp_path, capsys):
    source = write_bone_age(tmp_path / "rsna")
    (source / "train-again.csv").write_text("id\n")
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "expected one table of the part training" in capsys.readouterr().err
    (source / "train-again.csv").unlink()
    (source / "boneage-training-dataset.csv").write_text("number,months\n1,2\n")
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "expected the columns id, boneage and male" in capsys.readouterr().err
    (source / "boneage-training-dataset.csv").unlink()
    assert main([str(source), str(tmp_path / "out")]) == 2
    assert "it is absent" in capsys.readouterr().err


@pytest.mark.parametrize("overlay", ["rsna_bone_age", pytest.param("rsna_bone_age_hand", marks=pytest.mark.slow)])
def test_the_bundle_trains_on_it(tmp_path, overlay):
    source, out = write_bone_age(tmp_path / "rsna"), tmp_path / "out"
    assert main([str(source), str(out), "--validation-fraction", "0.2"]) == 0
    table = train_once(out, tmp_path / "run", overlay, batch_size=4, image_size=32)
    assert table[["fusion", "unimodal_hand"]].notna().all(axis=None)
