"""The index: whole entries only, one writer, nothing left beside it."""

import sqlite3

import pytest

from data_prep.hospital._facts import Scanned
from data_prep.hospital._index import INDEX, Index
from medmd.utils import MedmdError

FACTS = {"key": "", "kind": "vf", "patient": "p", "laterality": "R", "day": 5, "md": -2.5}


def entry(number, **more):
    return Scanned(pointer=f"{number:016x}", digest=f"d{number}", **more)


def test_what_is_put_comes_back_in_the_order_of_the_pointers(tmp_path):
    index = Index(tmp_path / INDEX)
    entries = [
        entry(2, examinations=(FACTS, FACTS), parts=("a", "b")),
        entry(1, reason="damaged", detail="The file is cut.", fix="Export it again."),
    ]
    for each in entries:
        index.put(each, stamp=f"s{each.digest}")

    assert list(index.files()) == entries[::-1]
    assert index.stamps() == {entries[0].pointer: "sd2", entries[1].pointer: "sd1"}
    assert index.digest(entries[0].pointer) == "d2"
    assert index.digest("absent") is None
    index.close()
    again = Index(tmp_path / INDEX)
    assert list(again.files()) == entries[::-1]
    again.forget([entries[0].pointer])
    assert list(again.files()) == entries[1:]
    again.close()


def test_a_second_put_replaces_the_first(tmp_path):
    index = Index(tmp_path / INDEX)
    index.put(entry(1, reason="damaged"), stamp="old")
    index.put(entry(1, examinations=(FACTS,)), stamp="new")

    assert index.stamps() == {entry(1).pointer: "new"}
    assert next(index.files()).reason is None
    index.close()


def test_nothing_lies_beside_the_index_once_it_is_closed(tmp_path):
    index = Index(tmp_path / INDEX)
    for number in range(200):
        index.put(entry(number), stamp="s")
    index.close()

    assert [path.name for path in tmp_path.iterdir()] == [INDEX]
    assert sqlite3.connect(tmp_path / INDEX).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_was_not_committed_is_lost_and_the_rest_is_not(tmp_path):
    index = Index(tmp_path / INDEX)
    for number in range(100):
        index.put(entry(number), stamp="s")
    index._base.rollback()
    index.close()

    again = Index(tmp_path / INDEX)
    assert len(again.stamps()) == 64
    again.close()


def test_a_second_conversion_to_the_folder_is_refused(tmp_path):
    first = Index(tmp_path / INDEX)

    with pytest.raises(MedmdError, match="another conversion writes"):
        Index(tmp_path / INDEX)
    first.close()
    Index(tmp_path / INDEX).close()


def test_an_index_of_another_version_is_made_anew(tmp_path, monkeypatch):
    index = Index(tmp_path / INDEX)
    index.put(entry(1), stamp="s")
    index.close()
    monkeypatch.setattr("data_prep.hospital._index._RECIPE", "another")

    newer = Index(tmp_path / INDEX)
    assert newer.stamps() == {}
    newer.close()


def test_a_file_that_is_no_database_is_replaced(tmp_path):
    (tmp_path / INDEX).write_bytes(b"not a database at all" * 100)

    index = Index(tmp_path / INDEX)
    assert index.stamps() == {}
    index.close()


def test_a_folder_that_cannot_be_written_is_an_error_of_its_own(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        Index(tmp_path / "absent" / INDEX)
