import argparse
import json
from pathlib import Path

import pytest

from medmd.cli import main
from medmd.commands import check_config
from medmd.utils import MedmdError

TRAIN = str(Path(__file__).parents[2] / "bundles" / "remd" / "train.json")


def _run(*words) -> int:
    parser = argparse.ArgumentParser()
    check_config.add_arguments(parser)
    return check_config.run(parser.parse_args(check_config.prepare([str(word) for word in words])))


def test_a_sound_configuration_gives_zero(capsys):
    assert _run(TRAIN, "--batch_size", "4", "--balancer#rho", "0.02") == 0
    assert capsys.readouterr().out == f"{TRAIN}: 0 errors, 0 warnings\n"


def test_errors_give_two_and_are_all_told(tmp_path, capsys):
    overlay = tmp_path / "mine.json"
    overlay.write_text('{\n  "batch_size": "eight",\n  "batch_sise": 3\n}')
    assert _run(f"['{TRAIN}','{overlay}']", "--stag2_epochs", "9") == 2
    out = capsys.readouterr().out.splitlines()
    assert out[:3] == [
        f"error: {overlay}:2:3: batch_size: wrong type; expected int; got 'eight'",
        f"error: {overlay}:3:3: batch_sise: nothing uses a setting of this name; fix: did you mean batch_size?",
        "error: command line: stag2_epochs: nothing uses a setting of this name; fix: did you mean train_epochs?",
    ]
    assert out[3].endswith("3 errors, 0 warnings")


def test_warnings_alone_give_one(tmp_path):
    overlay = tmp_path / "mine.json"
    overlay.write_text('{"zebra": 1}')
    assert _run("--config_file", f"{TRAIN},{overlay}") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--config_file", TRAIN, "--train_epochs", "5"),
        ("--train_epochs", "5", "--config_file", TRAIN),
        ("--train_epochs", "5", TRAIN),
        ("--output_dir", "x", "--config_file", f"['{TRAIN}']", "--balancer#rho", "0.02"),
    ],
)
def test_the_words_of_a_run_are_taken_in_any_order(words, capsys):
    assert main(["check-config", *words]) == 0
    assert main(["check-config", *words, "--zebra", "1"]) == 2
    assert "zebra: nothing uses a setting of this name" in capsys.readouterr().out


def test_a_broken_file_is_told_with_its_line(tmp_path, capsys):
    path = tmp_path / "broken.json"
    path.write_text('{\n  "a": 1,\n}\n')
    assert _run(TRAIN, path) == 2
    out = capsys.readouterr().out
    assert f"error: {path}:" in out
    assert "fix: remove the comma before the closing bracket" in out


def test_the_report_is_written_as_json_before_or_behind_the_files(tmp_path, capsys):
    target = tmp_path / "report.json"
    for words in (["--json", target, TRAIN, "--zebra", 1], [TRAIN, "--zebra", 1, "--json", target]):
        target.unlink(missing_ok=True)
        assert _run(*words) == 2
        assert json.loads(target.read_text())["findings"][0]["path"] == "zebra"
    capsys.readouterr()
    assert _run(TRAIN, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "files": [TRAIN], "findings": []}


def test_the_setting_debug_and_the_option_debug_are_told_apart(capsys):
    assert _run(TRAIN, "--debug", "maybe") == 2
    assert "debug: wrong type; expected bool" in capsys.readouterr().out
    assert _run(TRAIN, "--debug", "--verbose") == 0
    assert _run(TRAIN, "--debug", "True") == 0


def test_without_a_file_there_is_nothing_to_check(capsys):
    with pytest.raises(MedmdError, match="no configuration is named"):
        _run()
    assert main(["check-config"]) == 2
    assert "no configuration is named" in capsys.readouterr().err
    assert main(["check-config", TRAIN, "--verbose"]) == 0
