import errno
import tempfile

import pytest

from medmd.workflows.preflight import output_problems
from medmd.workflows.preflight._output import nearest_folder


def levels(*arguments):
    return [(problem.level, str(problem)) for problem in output_problems(*arguments)]


def everything_in(folder):
    return sorted(folder.rglob("*"))


def test_a_new_an_empty_and_an_own_folder_pass_and_nothing_is_left(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "run.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    # What a start leaves that was killed at once.
    (tmp_path / "empty" / ".lock").touch()
    before = everything_in(tmp_path)
    for folder in (tmp_path / "a" / "b" / "c", tmp_path / "empty", own):
        assert levels(folder) == []
    assert everything_in(tmp_path) == before


def test_a_file_and_what_is_below_one_are_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert "this is a file" in levels(file)[0][1]
    ((level, text),) = levels(file / "run")
    assert level == "refusal"
    assert f"{file} is a file" in text


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    ((level, text),) = levels(tmp_path)
    assert level == "refusal"
    assert "no run of ours" in text
    assert everything_in(tmp_path) == [tmp_path / "thesis.tex"]


@pytest.mark.parametrize(
    ("error", "word"),
    [(errno.EACCES, "Permission denied"), (errno.EROFS, "Read-only"), (errno.EDQUOT, "uota"), (errno.ENOSPC, "space")],
)
def test_a_place_in_which_no_file_can_be_made_is_refused(tmp_path, monkeypatch, error, word):
    def refuse(**_):
        raise OSError(error, __import__("os").strerror(error))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    ((level, text),) = levels(tmp_path / "new" / "run")
    assert level == "refusal"
    assert word in text
    assert str(tmp_path) in text


def test_an_output_among_the_data_is_a_warning(tmp_path):
    ((level, text),) = levels(tmp_path / "output", tmp_path)
    assert level == "warning"
    assert "inside of the data set" in text
    assert levels(tmp_path / "output", tmp_path / "data") == []


def test_the_nearest_folder_is_the_first_that_exists(tmp_path, monkeypatch):
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert nearest_folder(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert nearest_folder("a/b") == tmp_path
