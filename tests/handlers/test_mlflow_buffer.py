"""The queue on disk: order, an end at any byte, and what is sent is never lost from sight."""

import inspect
import os
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.handlers._mlflow_buffer import Buffer
from medmd.utils import write_atomic


def names(records):
    return [record["n"] for record in records]


def filled(folder, count):
    buffer = Buffer(folder, "run")
    for n in range(count):
        buffer.append({"n": n})
    return buffer


def test_records_come_in_order_and_stay_until_they_are_acknowledged(tmp_path):
    buffer = filled(tmp_path / "p", 5)
    first = buffer.peek(2)
    assert names(first.records) == names(buffer.peek(2).records) == [0, 1]
    buffer.acknowledge(first.end)
    assert names(buffer.peek().records) == [2, 3, 4]
    # Another process finds what waits.
    assert names(Buffer(tmp_path / "p", "run").all_waiting()) == [2, 3, 4]


def test_nothing_is_made_before_something_waits(tmp_path):
    buffer = Buffer(tmp_path / "p", "run")
    assert not buffer
    assert buffer.peek().records == []
    buffer.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_buffer_is_removed_without_a_trace(tmp_path):
    buffer = filled(tmp_path / "p", 2)
    buffer.drop(buffer.keep(_file(tmp_path)))
    buffer.acknowledge(buffer.peek().end)
    buffer.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def _file(folder):
    path = folder / "table.csv"
    path.write_text("1")
    return path


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_is_kept_as_it_was_and_files_elsewhere_are_not_dropped(tmp_path, monkeypatch, has_links):
    def refuse(*_):
        raise OSError("no links here")

    if not has_links:
        monkeypatch.setattr("os.link", refuse)
    buffer, source = Buffer(tmp_path / "p", "run"), _file(tmp_path)
    one = buffer.keep(source)
    # As every file of a run is written.
    write_atomic(source, "2")
    two = buffer.keep(source)
    assert (one.read_text(), two.read_text(), one.name) == ("1", "2", "table.csv")
    buffer.drop(source)
    buffer.drop(one)
    assert (source.exists(), one.exists(), two.exists()) == (True, False, True)


@given(cut=st.integers(0, 60))
def test_a_half_line_is_dropped_and_no_earlier_one(cut, tmp_path_factory):
    folder = tmp_path_factory.mktemp("p")
    filled(folder, 6)
    path = folder / "run.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    whole = content[: max(0, len(content) - cut)].count(b"\n")
    again = Buffer(folder, "run")
    again.append({"n": 99})
    assert names(again.all_waiting()) == [*range(whole), 99]


@pytest.mark.parametrize("mark", ["", "x", "\xff", "10000"])
def test_a_damaged_place_sends_again_or_nothing_but_never_fails(tmp_path, mark):
    filled(tmp_path, 3)
    (tmp_path / "run.sent").write_text(mark, encoding="latin-1")
    assert names(Buffer(tmp_path, "run").all_waiting()) == ([] if mark == "10000" else [0, 1, 2])


def test_a_damaged_line_is_passed_over(tmp_path):
    filled(tmp_path, 1)
    with (tmp_path / "run.jsonl").open("ab") as file:
        file.write(b'{"n": \n\xff\xfe\n[1]\n')
    buffer = Buffer(tmp_path, "run")
    buffer.append({"n": 1})
    waiting = buffer.peek()
    assert names(waiting.records) == [0, 1]
    buffer.acknowledge(waiting.end)
    assert not buffer


def test_what_was_sent_does_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr("medmd.handlers._mlflow_buffer._LARGE", 100)
    buffer, sizes = Buffer(tmp_path, "run"), []
    for n in range(60):
        buffer.append({"n": n})
        waiting = buffer.peek()
        assert names(waiting.records) == [n]
        buffer.acknowledge(waiting.end)
        sizes.append((tmp_path / "run.jsonl").stat().st_size)
    assert max(sizes) <= 120
    assert any(after < before for before, after in pairwise(sizes))
    assert not Buffer(tmp_path, "run")


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path, monkeypatch):
    buffer = filled(tmp_path, 2)
    write = os.write
    monkeypatch.setattr("os.write", lambda file, data: write(file, data[:3]))
    with pytest.raises(OSError, match="No space left"):
        buffer.append({"n": 2})
    monkeypatch.undo()
    buffer.append({"n": 3})
    assert names(buffer.all_waiting()) == [0, 1, 3]


def test_buffers_of_other_runs_are_named(tmp_path):
    filled(tmp_path, 1)
    assert Buffer(tmp_path, "other").others() == ["run"]
    assert Buffer(tmp_path, "run").others() == []


def test_a_refused_record_is_kept_beside(tmp_path):
    buffer = Buffer(tmp_path / "p", "run")
    assert buffer.set_aside({"why": "a"}) == "p/refused-1.json"
    assert buffer.set_aside({"why": "b"}) == "p/refused-2.json"
    buffer.remove()
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["refused-1.json", "refused-2.json"]


def test_kill_9_loses_nothing_that_was_appended(tmp_path):
    code = (
        "import os, runpy, signal, sys; from pathlib import Path\n"
        "buffer = runpy.run_path(sys.argv[2])['Buffer'](Path(sys.argv[1]), 'run')\n"
        "for n in range(500): buffer.append({'n': n})\n"
        "buffer.acknowledge(buffer.peek(100).end)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), inspect.getfile(Buffer)], check=False)
    assert done.returncode < 0
    assert names(Buffer(tmp_path, "run").all_waiting()) == list(range(100, 500))
