import subprocess
import sys

import pytest

from data_prep.grape.__main__ import main


def test_a_conversion_prints_the_numbers_and_exits_with_0(make_grape, tmp_path, capsys):
    source = make_grape(without=["1_OD_1.jpg"])
    assert main([str(source), str(tmp_path / "out"), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "visits: 16 in = 15 converted + 1 excluded" in text
    assert "not in the folder (grape-0001-R-1)" in text
    assert "15 of 15 eyes of 8 subjects; 0 without fundus, 2 without rnfl" in text
    assert (tmp_path / "out" / "datalist.json").is_file()
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_every_option_reaches_the_conversion(make_grape, tmp_path, capsys):
    line = [str(make_grape()), str(tmp_path / "out"), "--photograph", "full", "--visits", "all", "--clinical"]
    assert main([*line, "--folds", "4", "--fold", "1", "--seed", "3"]) == 0
    marker = (tmp_path / "out" / ".medmd-conversion.json").read_text()
    for part in ('"photograph": "full"', '"visits": "all"', '"clinical": true', '"folds": 4', '"fold": 1', '"seed": 3'):
        assert part in marker


def test_a_wrong_source_is_told_in_one_message_and_exits_with_2(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "expected the GRAPE release" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_an_unknown_option_exits_with_2(tmp_path):
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path), str(tmp_path / "out"), "--photograph", "left"])
    assert caught.value.code == 2


def test_nothing_usable_exits_with_4(make_grape, tmp_path, capsys):
    source = make_grape()
    for path in (source / "ROIs").iterdir():
        path.unlink()
    assert main([str(source), str(tmp_path / "out")]) == 4
    captured = capsys.readouterr()
    assert "16 in = 0 converted + 16 excluded" in captured.out
    assert "nothing usable" in captured.err


def test_help_loads_no_heavy_library_and_names_the_exit_codes():
    code = (
        "import sys\n"
        "from data_prep.grape.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'torch', 'monai', 'numpy', 'pandas', 'openpyxl', 'PIL', 'mlflow', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exit codes: 0 done" in done.stdout
    assert "4 nothing usable" in done.stdout


def test_the_module_is_a_program(make_grape, tmp_path):
    line = [sys.executable, "-m", "data_prep.grape", str(make_grape(subjects=4)), str(tmp_path / "out"), "--unsplit"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "unsplit 8 cases of 4 subjects" in done.stdout
