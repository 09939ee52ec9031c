import shutil

import pandas as pd
import pytest
import torch

from medmd.cli import main, verb_parser
from medmd.commands import VERBS
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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "cuda"], "device: expected one that this machine has (cpu), got 'cuda'."),
        (["--device", "foo"], "device: expected one that this machine has (cpu), got 'foo'."),
        (["--device", "meta"], "device: expected one that this machine has (cpu), got 'meta'."),
        (["--batch-size", "0"], "batch_size: expected 1 or more, got 0."),
        (["--workers", "-1"], "num_workers: expected 0 or more, got -1."),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="has another device")
def test_a_device_or_number_that_cannot_be_is_one_line(untrained_run, make_datalist, tmp_path, capsys, words, said):
    out = tmp_path / "out.csv"
    assert main(["predict", str(untrained_run), str(make_datalist()), str(out), *words]) == 2
    assert capsys.readouterr().err == f"medmd: error: {said}\n"
    assert not out.exists()


def test_what_is_missing_or_ignored_is_told(untrained_run, make_datalist, tmp_path, caplog):
    item = load_items(make_datalist(), "testing")[0]
    eyes = tmp_path / "eyes"
    (eyes / "deeper").mkdir(parents=True)
    shutil.copy(item["oct"], eyes / "7-R_oct.nii.gz")
    for name in ("oct", "fundus"):
        shutil.copy(item[name], eyes / f"8-L_{name}{'.nii.gz' if name == 'oct' else '.png'}")
    for name in ("Jane Doe.txt", "8-L_fundus.gif"):
        (eyes / name).write_bytes(b"")
    assert main(["predict", str(untrained_run), str(eyes), str(tmp_path / "out.csv")]) == 0
    told = [record.getMessage() for record in caplog.records if record.name.startswith("medmd.workflows")]
    assert told[:2] == ["2 files ignored: their names fit no modality of the model.", "1 of 2 cases lack fundus."]
    assert not any("oct" in line and "lack" in line for line in told)
    assert "Jane" not in caplog.text


def test_nothing_is_told_when_nothing_is_missing(untrained_run, make_datalist, tmp_path, caplog):
    assert main(["predict", str(untrained_run), str(make_datalist()), str(tmp_path / "out.csv")]) == 0
    assert "lack" not in caplog.text
    assert "ignored" not in caplog.text


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_one_style(verb):
    parser = verb_parser(verb)
    assert not parser.description.startswith("`medmd")
    positional = [action for action in parser._actions if not action.option_strings]
    assert all(action.metavar and action.metavar[0].isupper() for action in positional)


def test_no_interval_is_promised():
    assert "interval" not in VERBS["predict"]
