"""The program as a user calls it, killed at moments nobody chose, and trained on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harvard_release import write_gf, write_sample
from monai.bundle import ConfigWorkflow

import bundles
from data_prep.harvard_gf.__main__ import main
from medmd.cli import main as medmd

BUNDLE = Path(next(iter(bundles.__path__))) / "remd"


def test_done(gf, tmp_path, capsys):
    assert main([str(gf), str(tmp_path / "out"), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "samples: 14 in = 14 converted + 0 quarantined" in text
    assert "split: as the release" in text
    assert "datalist.json: training 8, validation 3, testing 3; 14 with a label" in text
    assert "look at report.html" in text


def test_done_with_quarantine_and_nothing_usable(tmp_path, capsys):
    write_sample(tmp_path / "a", 1, oct_volume=True, md=np.nan)
    assert main([str(tmp_path / "a"), str(tmp_path / "none"), "--unsplit"]) == 4
    assert "nothing usable" in capsys.readouterr().err
    write_sample(tmp_path / "a", 2, oct_volume=True)
    assert main([str(tmp_path / "a"), str(tmp_path / "one"), "--unsplit"]) == 3
    assert "no md, or none that is one number" in capsys.readouterr().out


def test_a_wrong_source_is_told_in_one_message(tmp_path, capsys):
    assert main([str(tmp_path / "absent"), str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "expected the folder of the release Harvard-GF" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_every_option_reaches_the_conversion(gf, tmp_path):
    line = [str(gf), str(tmp_path / "out"), "--limit", "5", "--subgroups", "--resplit"]
    assert main([*line, "--folds", "3", "--fold", "1", "--seed", "5"]) == 0
    marker = json.loads((tmp_path / "out" / ".medmd-conversion.json").read_text())
    assert marker["arguments"] == {
        "limit": 5,
        "subgroups": True,
        "resplit": True,
        "split": {"folds": 3, "fold": 1, "seed": 5},
    }


@pytest.mark.parametrize("name", ["harvard_gf", "harvard_gdp"])
def test_help_is_light_and_names_codes_and_licence(name):
    code = (
        "import sys\n"
        f"from data_prep.{name}.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'monai', 'pandas', 'openpyxl', 'PIL', 'mlflow', 'nibabel'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for text in ("3 done with quarantine", "4 nothing usable", "CC BY-NC-ND 4.0", f"data/{name}.json"):
        assert text in done.stdout


def command(source, out):
    return [sys.executable, "-m", "data_prep.harvard_gf", str(source), str(out), "--workers", "2"]


def test_killed_and_run_again_gives_the_bytes_of_an_undisturbed_run(gf, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    process = subprocess.Popen(command(gf, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.rglob("harvard_gf-*"))) < 9:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command(gf, out), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert main([str(gf), str(whole)]) == 0
    found, expected = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (out, whole)
    )
    assert found == expected


def test_the_bundle_trains_on_it_and_predicts(tmp_path):
    parts = (("Training", range(1, 9)), ("Validation", range(9, 13)), ("Test", range(13, 17)))
    source = write_gf(tmp_path / "Harvard-GF", parts=parts)
    write_sample(source / "Dataset" / "Test", 16, oct_volume=True, oct_bscans=None)
    dataset, run = tmp_path / "eyes", tmp_path / "run"
    assert main([str(source), str(dataset)]) == 0
    assert medmd(["check", str(dataset)]) == 0
    workflow = ConfigWorkflow(
        [str(BUNDLE / name) for name in ("train.json", "data/harvard_gf.json")],
        logging_file=False,
        dataset_dir=str(dataset),
        output_dir=str(run),
        pretrain_epochs=1,
        train_epochs=1,
        device="cpu",
        track=False,
        retina_band=16,
        oct_size=[8, 16, 16],
        map_size=32,
        batch_size=4,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    table = pd.read_csv(run / "predictions.csv")
    tested = table[table["split"] == "testing"]
    assert set(tested["case_id"]) == {f"harvard_gf-{number:04d}" for number in range(13, 17)}
    assert tested["fusion"].notna().all()
    assert tested["unimodal_oct"].isna().sum() == 1
    assert tested["unimodal_rnfl_map"].notna().all()
    assert medmd(["predict", str(run), str(dataset / "datalist.json"), str(tmp_path / "p.csv")]) == 0
    assert pd.read_csv(tmp_path / "p.csv")["md_oct"].isna().tolist() == [False, False, False, True]
