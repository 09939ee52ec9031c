import json
import subprocess
import sys

import pytest

from data_prep.stage2.__main__ import main

IMAGES = "STAGE_training/training_images"


def test_done(stage2024, tmp_path, capsys):
    assert main([str(stage2024), str(tmp_path / "out"), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "eyes: 13 in = 13 converted + 0 quarantined" in text
    assert "files: 176 in = 13 converted + 159 merged + 4 quarantined" in text
    assert "oct: 32 x 48 x 12 (13)" in text
    assert "look at report.html" in text


def test_done_with_quarantine(stage2024, tmp_path, capsys):
    (stage2024 / IMAGES / "0003" / "4_image.jpg").unlink()
    assert main([str(stage2024), str(tmp_path / "out")]) == 3
    assert "the OCT's slices are not complete" in capsys.readouterr().out


def test_nothing_usable(stage2024, tmp_path, capsys):
    for path in stage2024.rglob("*.jpg"):
        path.write_bytes(b"")
    assert main([str(stage2024), str(tmp_path / "out")]) == 4
    assert "nothing usable" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["SRC"], ["SRC", "OUT", "--split"], ["submit"], ["score", "a"], []])
def test_a_wrong_call(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


@pytest.mark.parametrize("words", [["absent", "out"], ["score", "absent.csv", "x.csv"], ["submit", "a.csv", "b.json"]])
def test_a_wrong_source_is_told_in_one_message(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert captured.err.strip()
    assert list(tmp_path.iterdir()) == []


def test_every_option_reaches_the_conversion(stage2024, tmp_path):
    line = [str(stage2024 / "STAGE_training"), str(tmp_path / "out"), "--limit", "9", "--stage-input"]
    line += ["--validation", str(stage2024 / "STAGE_validation"), "--spacing-mm", "0.01", "0.002", "0.02"]
    assert main([*line, "--folds", "3", "--fold", "1", "--seed", "5"]) == 0
    marker = json.loads((tmp_path / "out" / ".medmd-conversion.json").read_text())
    assert marker["arguments"] == {
        "limit": 9,
        "stage_input": True,
        "spacing_mm": [0.01, 0.002, 0.02],
        "split": {"folds": 3, "fold": 1, "seed": 5},
    }
    assert (tmp_path / "out" / "datalist_validation.json").is_file()


def test_submit_and_score(stage2024, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(stage2024), str(out), "--unsplit"]) == 0
    rows = "".join(f"stage2024-{n:04d},{-0.4 - 0.9 * n:.2f}\n" for n in range(1, 10))
    (tmp_path / "p.csv").write_text(f"case_id,md\n{rows}")
    result = str(tmp_path / "MD_Results.csv")
    assert main(["submit", str(tmp_path / "p.csv"), str(out / "datalist.json"), result]) == 2
    assert "1 of 10 eyes have no prediction (0010)" in capsys.readouterr().err
    assert main(["submit", str(tmp_path / "p.csv"), str(out / "datalist.json"), result, "--fill", "-9.4"]) == 0
    assert "1 eyes without a prediction were given -9.4 dB" in capsys.readouterr().out
    labels = str(stage2024 / "STAGE_training" / "training_GT" / "task1_GT_training.csv")
    assert main(["score", result, labels, "--json", str(tmp_path / "score.json")]) == 0
    assert "score 10.0000 (SMAPE 0.0000, R2 1.0000); MAE 0.00 dB, RMSE 0.00 dB, 10 eyes" in capsys.readouterr().out
    assert json.loads((tmp_path / "score.json").read_text())["n"] == 10


def test_help_is_light_and_names_the_codes_and_the_other_commands():
    code = (
        "import sys\n"
        "from data_prep.stage2.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'monai', 'pandas', 'openpyxl', 'PIL', 'mlflow', 'nibabel'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for text in ("3 done with quarantine", "4 nothing usable", "stage2 submit PREDICTIONS", "stage2 score SUBMISSION"):
        assert text in done.stdout


@pytest.mark.parametrize("command", ["submit", "score"])
def test_the_other_commands_have_a_help_of_their_own(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"stage2 {command}" in capsys.readouterr().out
