"""What needs a training: one small run of the bundle serves every figure."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest

from medmd.cli import main
from medmd.data import PhantomCohort
from medmd.reproduce import Options, Sources, bundle_run, reproduce, write_page
from medmd.utils import MedmdError

FAST = Options(replicates=20, permutations=99)


OVERLAYS = ["presets/tiny", "methods/sgm"]
SETTINGS = {"device": "cpu", "pretrain_epochs": 3, "train_epochs": 3, "threads": 1}


@pytest.fixture(scope="module")
def trained(eyes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sgm-all"
    return bundle_run(folder, overlays=OVERLAYS, overrides={**SETTINGS, "dataset_dir": str(eyes)})


def test_curves_and_landscapes_of_a_training(trained, eyes, tmp_path):
    folders = {"sgm-all": trained, "alone-all": trained, "mmpareto-all": trained}
    page = reproduce("fig2", Sources(trainings=folders, datalist=eyes / "datalist.json"))
    files = [path.name for path in write_page(tmp_path, page)]
    assert files == ["fig2.md", "fig2.csv", "fig2_a.png", "fig2_bc.png", "fig2_d.png", "fig2_e.png"]
    curves = [row for row in page.numbers if row["part"] == "a"]
    assert {row["head"] for row in curves} == {"oct", "fundus"}
    assert len(curves) == 6
    line = [row["loss"] for row in page.numbers if row["part"] == "d" and row["method"] == "sgm"]
    assert len(line) == 21
    assert all(value > 0 for value in line)
    assert page.missing == [
        "alone-head",
        "mmpareto-head",
        "alone-tail",
        "mmpareto-tail",
        "joint_loss-all",
        "uniform_sum-all",
    ]


def test_gamma_and_sharpness_of_a_training(trained):
    page = reproduce("fig5", Sources(trainings={"sgm-all": trained}))
    pairs = {(row["first"], row["second"]): row["spearman"] for row in page.numbers}
    assert pairs["sharpness", "gradient_norm"] > 0.7
    assert "the Hessian cancels" in page.text()


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_finished_training_is_left_alone(trained, eyes, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    before = times(trained)
    same = {**SETTINGS, "dataset_dir": str(eyes)}
    assert bundle_run(trained, overlays=OVERLAYS, overrides=same) == trained
    assert times(trained) == before


def test_a_finished_training_of_other_settings_is_not_taken_for_this_one(trained, eyes):
    before = times(trained)
    with pytest.raises(MedmdError, match=r"differs in seed \(0 -> 1\).*choose another folder with --work"):
        bundle_run(trained, overlays=OVERLAYS, overrides={**SETTINGS, "dataset_dir": str(eyes), "seed": 1})
    assert times(trained) == before


def test_other_lengths_and_other_data_are_for_the_bundle_to_judge(trained, eyes, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda words, **_: asked.append(words) or SimpleNamespace(returncode=0))
    PhantomCohort(40, 1).write(tmp_path, contact_sheet=False)
    for change in ({"train_epochs": 4}, {"dataset_dir": str(tmp_path)}):
        bundle_run(trained, overlays=OVERLAYS, overrides={**SETTINGS, "dataset_dir": str(eyes), **change})
    assert len(asked) == 2


def test_a_failed_training_says_why(tmp_path):
    with pytest.raises(MedmdError, match=r"ended with code 1. Its last words: zebra: nothing uses"):
        bundle_run(tmp_path / "run", overlays=["presets/tiny"], overrides={"zebra": 1})


def test_what_is_missing_is_run_by_the_benchmark(eyes, tmp_path, capsys):
    arguments = ["reproduce", "fig1", "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out"), "--run"]
    arguments += ["--data", str(eyes), "--dataset", "small", "--overlay", "presets/tiny", "--epochs", "3"]
    arguments += ["--seeds", "1", "--jobs", "0", "--replicates", "20", "--permutations", "99"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Without a finished run" not in shown
    assert (tmp_path / "out/fig1.png").is_file()
    runs = sorted((tmp_path / "work/runs/small").iterdir())
    assert len(runs) == 5
    kept = {path: (path / "fold0-seed0/result.json").stat().st_mtime_ns for path in runs}
    # Another page of the same runs.
    shutil.rmtree(tmp_path / "out")
    arguments[1] = "tail"
    assert main([*arguments[: arguments.index("--run")], "--datalist", str(eyes / "datalist.json")]) == 0
    assert kept == {path: (path / "fold0-seed0/result.json").stat().st_mtime_ns for path in runs}


@pytest.mark.slow
def test_every_training_of_figure_2_is_run(eyes, tmp_path, capsys):
    arguments = [
        "reproduce",
        "fig2",
        "--work",
        str(tmp_path),
        "--run",
        "--data",
        str(eyes),
        "--overlay",
        "presets/tiny",
    ]
    assert main([*arguments, "--epochs", "2"]) == 0
    assert "Not trained yet" not in capsys.readouterr().out
