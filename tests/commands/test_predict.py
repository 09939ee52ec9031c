import shutil

import pandas as pd
import pytest

from medmd.cli import main
from medmd.data import load_datalist, load_items
from medmd.workflows import Predictor


def test_a_datalist_becomes_a_table(untrained_run, make_datalist, tmp_path, capsys):
    path = make_datalist(missing={10: "fundus"})
    assert main(["predict", str(untrained_run / "model"), str(path), str(tmp_path / "out.csv")]) == 0
    assert capsys.readouterr().out == f"2 predictions in {tmp_path / 'out.csv'}\n"
    expected = Predictor(untrained_run / "model").predict(load_items(path, "testing"))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), expected, check_exact=True)


def test_the_folder_of_a_run_and_a_split_can_be_named(untrained_run, make_datalist, tmp_path):
    path = make_datalist()
    out = tmp_path / "out.csv"
    words = ["predict", str(untrained_run), str(path.parent), str(out), "--split", "training", "--batch-size", "3"]
    assert main(words) == 0
    training = load_datalist(path).splits["training"]
    assert list(pd.read_csv(out)["case_id"]) == [case.case_id for case in training]


def test_a_folder_of_files_is_enough(untrained_run, make_datalist, tmp_path):
    item = load_items(make_datalist(), "testing")[0]
    (tmp_path / "eyes").mkdir()
    shutil.copy(item["oct"], tmp_path / "eyes" / f"7-{item['laterality']}_oct.nii.gz")
    assert main(["predict", str(untrained_run), str(tmp_path / "eyes"), str(tmp_path / "out.csv")]) == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table["case_id"]) == [f"7-{item['laterality']}"]
    assert table["md_fundus"].isna().all()


@pytest.mark.parametrize(
    ("model", "source", "said"),
    [("absent", "cohort", "manifest.json: no such file"), ("model", "absent", "no such file or folder")],
)
def test_what_cannot_be_used_is_one_line(untrained_run, make_datalist, tmp_path, capsys, model, source, said):
    folder = untrained_run / "model" if model == "model" else tmp_path / "absent"
    named = make_datalist() if source == "cohort" else tmp_path / "absent"
    assert main(["predict", str(folder), str(named), str(tmp_path / "out.csv")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("medmd: error: ")
    assert said in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()
