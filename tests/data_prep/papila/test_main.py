"""The program as a user calls it, killed at moments nobody chose, and trained on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from monai.bundle import ConfigWorkflow

import bundles
from data_prep.papila.__main__ import main
from medmd.cli import main as medmd

BUNDLE = Path(next(iter(bundles.__path__))) / "remd"


def test_done_and_done_with_quarantine(papila, tmp_path, capsys):
    assert main([str(papila), str(tmp_path / "a"), "--workers", "1", "--unsplit"]) == 0
    text = capsys.readouterr().out
    assert "eyes: 24 in = 20 converted + 4 quarantined" in text
    assert "patients: 10, split by patient" in text
    assert "datalist.json: unsplit 20; 20 with a label" in text
    (papila / "FundusImages" / "RET002OD.jpg").unlink()
    assert main([str(papila), str(tmp_path / "b"), "--unsplit"]) == 3
    assert "without a photograph" in capsys.readouterr().out


def test_nothing_usable(papila, tmp_path, capsys):
    for path in (papila / "FundusImages").glob("*.jpg"):
        path.unlink()
    assert main([str(papila), str(tmp_path / "out")]) == 4
    assert "nothing usable" in capsys.readouterr().err


def test_a_wrong_source_is_told_in_one_message(tmp_path, capsys):
    assert main([str(tmp_path / "absent"), str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "expected one PAPILA release" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_every_option_reaches_the_conversion(papila, tmp_path):
    line = [str(papila), str(tmp_path / "out"), "--limit", "9", "--clinical", "--folds", "3", "--fold", "1"]
    assert main([*line, "--seed", "5"]) == 0
    marker = json.loads((tmp_path / "out" / ".medmd-conversion.json").read_text())
    assert marker["arguments"] == {"limit": 9, "clinical": True, "split": {"folds": 3, "fold": 1, "seed": 5}}


def test_help_is_light_and_names_the_codes():
    code = (
        "import sys\n"
        "from data_prep.papila.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'monai', 'pandas', 'openpyxl', 'PIL', 'mlflow', 'nibabel'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 done with quarantine" in done.stdout
    assert "data/papila.json" in done.stdout


def command(source, out):
    return [sys.executable, "-m", "data_prep.papila", str(source), str(out), "--workers", "2"]


def test_killed_and_run_again_gives_the_bytes_of_an_undisturbed_run(papila, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    process = subprocess.Popen(command(papila, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.rglob("papila-*"))) < 9:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command(papila, out), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert main([str(papila), str(whole)]) == 0
    found, expected = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (out, whole)
    )
    assert found == expected


@pytest.mark.parametrize("clinical", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_bundle_trains_on_it_and_predicts(papila, tmp_path, clinical):
    dataset, run = tmp_path / "eyes", tmp_path / "run"
    line = [str(papila), str(dataset), "--validation-fraction", "0.2"]
    assert main([*line, "--clinical"] if clinical else line) == 0
    assert medmd(["check", str(dataset)]) == 0
    overlay = "papila_clinical" if clinical else "papila"
    workflow = ConfigWorkflow(
        [str(BUNDLE / name) for name in ("train.json", f"data/{overlay}.json")],
        logging_file=False,
        dataset_dir=str(dataset),
        output_dir=str(run),
        pretrain_epochs=1,
        train_epochs=1,
        device="cpu",
        track=False,
        fundus_size=32,
        batch_size=4,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    table = pd.read_csv(run / "predictions.csv")
    columns = ["fusion", "unimodal_fundus", *(["unimodal_clinical"] if clinical else [])]
    assert table[columns].notna().all(axis=None)
    assert medmd(["predict", str(run), str(dataset / "datalist.json"), str(tmp_path / "p.csv")]) == 0
    assert pd.read_csv(tmp_path / "p.csv")["md"].nunique() > 1
