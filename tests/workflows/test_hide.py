"""What is shown names settings, not places."""

import logging
import sys
from pathlib import Path

import pytest

from medmd.workflows import _hide
from medmd.workflows._hide import hide, hide_places


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(_hide, "_PLACES", {})
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def places(tmp_path):
    data, results = tmp_path / "mueller-hans", tmp_path / "mueller-hans" / "anna"
    results.mkdir(parents=True)
    hide_places({"dataset_dir": str(data), "output_dir": results, "phantom_dir": None, "model_dir": "$@x + '/y'"})
    return data, results


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no datalist at DATA. Name a folder", "no datalist at <dataset_dir> Name a folder"),
        ("[Errno 2] No such file: 'DATA/weber clinic/oct 1.nii.gz'", "[Errno 2] No such file: '<dataset_dir>'"),
        ("cannot read DATA/weber.png, sorry", "cannot read <dataset_dir>, sorry"),
        (
            "OUT holds a run; see OUT/report/report.html",
            "<output_dir> holds a run; see <output_dir>/report/report.html",
        ),
        ("DATA-2/x stays", "DATA-2/x stays"),
        ("HOME/venv/x.py", "~/venv/x.py"),
        ("nothing here", "nothing here"),
    ],
)
def test_paths_become_the_names_of_settings(places, text, shown):
    data, results = places
    for word, path in (("DATA", data), ("OUT", results), ("HOME", Path.home())):
        text, shown = text.replace(word, str(path)), shown.replace(word, str(path))
    shown = shown.replace(f"{data}-2", "DATA-2").replace(str(Path.home()), "~")
    assert hide(text).replace(f"{data}-2", "DATA-2") == shown


def test_single_words_and_roots_are_left_alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    hide_places({"dataset_dir": "data", "output_dir": "/"})
    assert hide("data of / and more") == "data of / and more"
    assert hide(f"at {tmp_path / 'data' / 'x'}") == "at <dataset_dir>"


def test_the_log_and_its_tracebacks_are_hidden(places, caplog):
    file = places[0] / "-".join(["weber", "anna.png"])
    log = logging.getLogger("somebody.else")
    log.warning("reading %s", file)
    try:
        file.read_bytes()
    except OSError:
        log.exception("failed at %d %%", 50)
    assert "mueller" not in caplog.text
    assert "weber-anna" not in caplog.text
    assert "reading <dataset_dir>" in caplog.text
    assert "FileNotFoundError: [Errno 2] No such file or directory: '<dataset_dir>'" in caplog.text
    assert "failed at 50 %" in caplog.text


def test_a_wrong_format_is_left_to_logging(places, caplog, capsys):
    logging.getLogger("x").makeRecord("x", 30, "f", 1, "%d", ("no number",), None)
    assert sys.exc_info() == (None, None, None)
