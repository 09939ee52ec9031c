import json

import numpy as np
from PIL import Image
from releases import NAMES, write_age_db
from training import train_once

from data_prep.age_db.__main__ import main
from medmd.cli import main as medmd
from medmd.data import load_datalist


def test_ages_people_and_pixels(tmp_path, capsys):
    source, out = write_age_db(tmp_path / "agedb"), tmp_path / "out"
    assert main([str(source), str(out)]) == 0
    assert "people: 8" in capsys.readouterr().out
    splits = load_datalist(out / "datalist.json").splits
    people = [{case.patient_id for case in cases} for cases in splits.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 8
    cases = {case.case_id: case for cases in splits.values() for case in cases}
    assert (cases["agedb-00003"].target, cases["agedb-00003"].sex) == (8 + 69, "M")
    assert cases["agedb-00003"].patient_id == cases["agedb-00011"].patient_id
    (before,) = source.rglob("3_*.jpg")
    with Image.open(before) as first, Image.open(out / cases["agedb-00003"].inputs["face"]) as second:
        np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
        assert second.info == {}
    assert medmd(["check", str(out)]) == 0


def test_no_name_leaves_the_release(tmp_path, capsys):
    source, out = write_age_db(tmp_path / "agedb", split=True), tmp_path / "out"
    (source / "AgeDB" / "40_JaneDoe_old_f.jpg").write_bytes(b"")
    (source / "AgeDB" / "41_JaneDoe_50_f.jpg").write_bytes(b"no picture")
    assert main([str(source), str(out)]) == 3
    captured = capsys.readouterr()
    said = captured.out + captured.err + "".join(path.read_text() for path in out.glob("*.*") if path.suffix != ".png")
    said += "".join(path.name for path in out.rglob("*"))
    assert not [name for name in (*NAMES, "JaneDoe") if name in said]
    report = json.loads((out / "report.json").read_text())["photographs"]["quarantined"]
    assert {reason: entry["items"] for reason, entry in report.items()} == {
        "name_foreign": ["unnamed-00000"], "photograph_unreadable": ["agedb-00041"]
    }  # fmt: skip
    assert not [path for path in out.rglob("*.png") if b"SECRET" in path.read_bytes()]


def test_the_imbalanced_split_shares_people_and_says_so(tmp_path):
    source, out = write_age_db(tmp_path / "agedb", split=True), tmp_path / "out"
    assert main([str(source), str(out), "--parts", "dir"]) == 0
    splits = load_datalist(out / "datalist.json").splits
    assert {name: len(cases) for name, cases in splits.items()} == {"training": 16, "validation": 8, "testing": 8}
    assert all(case.patient_id_is_surrogate for cases in splits.values() for case in cases)
    assert "share people" in json.loads((out / "report.json").read_text())["split"]


def test_wrong_calls_and_wrong_tables(tmp_path, capsys):
    source = write_age_db(tmp_path / "agedb")
    (source / "AgeDB" / "3_Double_50_f.jpg").write_bytes(b"")
    (source / "AgeDB" / "99_Old_121_f.jpg").write_bytes(b"")
    assert main([str(source), str(tmp_path / "out"), "--limit", "10"]) == 3
    assert "two photographs have one number" in (text := capsys.readouterr().out)
    assert "outside its possible range (agedb-00099)" in text
    assert main([str(source), str(tmp_path / "dir"), "--parts", "dir"]) == 2
    assert "expected one agedb.csv" in capsys.readouterr().err
    for content, words in (("age,path\n", "expected the columns"), ("age,path,split\n1,a.jpg,never\n", "line 2")):
        (source / "agedb.csv").write_text(content)
        assert main([str(source), str(tmp_path / "dir"), "--parts", "dir"]) == 2
        assert words in capsys.readouterr().err
    (source / "agedb.csv").write_text("age,split,path\n8,train,AgeDB/a.jpg\n9,train\n")
    assert main([str(source), str(tmp_path / "dir"), "--parts", "dir"]) == 2
    assert "line 3: expected a path and one of train, val, test, got a row of 2 cells" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "dir")]) == 2
    assert "found none among 0 files" in capsys.readouterr().err


def test_the_bundle_trains_on_it(tmp_path):
    source, out = write_age_db(tmp_path / "agedb"), tmp_path / "out"
    assert main([str(source), str(out), "--validation-fraction", "0.2"]) == 0
    table = train_once(out, tmp_path / "run", "age_db", batch_size=4, image_size=32)
    assert table["fusion"].notna().all()
