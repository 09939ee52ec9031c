import json

import pytest

from data_prep._output import JOURNAL, MARKER, OutputFolder
from medmd.utils import MedmdError, sha256_bytes


def open_folder(path, **arguments):
    return OutputFolder(path, converter="tests", arguments=arguments)


def put(output, name, text, *, made_from):
    (output.path / name).parent.mkdir(parents=True, exist_ok=True)
    (output.path / name).write_text(text)
    output.record(name, made_from=made_from, sha256=sha256_bytes(text.encode()))


def snapshot(path):
    return {item.relative_to(path).as_posix(): item.read_bytes() for item in path.rglob("*") if item.is_file()}


def test_a_new_or_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "empty"):
        open_folder(tmp_path / name).finish()
        assert json.loads((tmp_path / name / MARKER).read_text())["finished"] is True


def test_a_folder_of_another_origin_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    before = snapshot(tmp_path)
    with pytest.raises(MedmdError, match="files of another origin"):
        open_folder(tmp_path)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("marker", ['{"converter": "another"}', "[1]"])
def test_the_folder_of_another_converter_is_left_alone(tmp_path, marker):
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(MedmdError, match="files of another origin"):
        open_folder(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(MedmdError, match="expected a folder to write to, got a file"):
        open_folder(tmp_path / "out")


def test_a_finished_conversion_with_other_arguments_is_left_alone(tmp_path):
    output = open_folder(tmp_path, seed=0)
    put(output, "a.txt", "a", made_from="1")
    output.finish()
    before = snapshot(tmp_path)
    with pytest.raises(MedmdError, match=r'finished conversion with \{"seed": 0\}; asked for \{"seed": 1\}'):
        open_folder(tmp_path, seed=1)
    assert snapshot(tmp_path) == before


def test_an_unfinished_conversion_may_be_taken_over(tmp_path):
    put(open_folder(tmp_path, seed=0), "a.txt", "a", made_from="1")
    output = open_folder(tmp_path, seed=1)
    put(output, "b.txt", "b", made_from="2")
    output.finish()
    assert sorted(snapshot(tmp_path)) == [MARKER, JOURNAL, "b.txt"]
    open_folder(tmp_path, seed=1)


def test_files_are_reused_only_when_input_and_content_are_unchanged(tmp_path):
    put(open_folder(tmp_path), "images/a.txt", "a", made_from="1")
    output = open_folder(tmp_path)
    assert output.reusable("images/a.txt", made_from="1") == sha256_bytes(b"a")
    assert output.reusable("images/a.txt", made_from="2") is None
    assert output.reusable("images/b.txt", made_from="1") is None
    (tmp_path / "images/a.txt").write_text("damaged")
    assert output.reusable("images/a.txt", made_from="1") is None
    (tmp_path / "images/a.txt").unlink()
    assert output.reusable("images/a.txt", made_from="1") is None


def test_finish_removes_own_files_that_are_no_part_and_nothing_else(tmp_path):
    first = open_folder(tmp_path)
    put(first, "old.txt", "old", made_from="1")
    put(first, "kept.txt", "kept", made_from="1")
    first.finish()
    (tmp_path / "notes.txt").write_text("by the user")
    second = open_folder(tmp_path)
    put(second, "kept.txt", "kept", made_from="1")
    put(second, "taken back.txt", "x", made_from="1")
    second.discard(["taken back.txt"])
    second.finish()
    assert sorted(snapshot(tmp_path)) == [MARKER, JOURNAL, "kept.txt", "notes.txt"]


def test_the_journal_does_not_depend_on_the_order_of_work(tmp_path):
    for folder, names in (("x", "abc"), ("y", "cab")):
        output = open_folder(tmp_path / folder)
        for name in names:
            put(output, name, name, made_from="1")
        output.finish()
    assert snapshot(tmp_path / "x") == snapshot(tmp_path / "y")


@pytest.mark.parametrize("cut", ['{"file": "b", "ma', '{"file": "b"}', "[]", "\n"])
def test_a_journal_cut_by_a_kill_is_read_up_to_there(tmp_path, cut):
    put(open_folder(tmp_path), "a", "a", made_from="1")
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write(cut)
    assert open_folder(tmp_path).reusable("a", made_from="1")


def test_what_a_killed_writer_left_is_swept_and_does_not_make_a_folder_foreign(tmp_path):
    (tmp_path / ".tmp-marker.json").write_text("")
    open_folder(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".tmp-x.png").write_text("half")
    open_folder(tmp_path).finish()
    assert sorted(snapshot(tmp_path)) == [MARKER, JOURNAL]
