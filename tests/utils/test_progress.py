import logging
import sys

import pytest

import medmd.utils._progress as module
from medmd.utils import MedmdError, progress


@pytest.fixture
def clock(monkeypatch):
    """Ten seconds pass with every look at the clock."""
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(now)))


@pytest.mark.parametrize("terminal", [False, True])
def test_all_items_are_handed_on_in_order(monkeypatch, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)

    assert list(progress(range(5), total=5, description="Counting")) == [0, 1, 2, 3, 4]


def test_without_a_terminal_lines_come_every_fifteen_seconds(caplog, clock):
    with caplog.at_level(logging.INFO):
        list(progress("abcdef", total=6, description="Reading", unit="file"))

    # The clock stands at 10, 20, … after each item: a line is due at 20 and 40; at 60 all is done.
    assert [record.getMessage() for record in caplog.records] == [
        "Reading: 2 of 6 files, about 40 s left",
        "Reading: 4 of 6 files, about 20 s left",
    ]


def test_short_work_logs_nothing(caplog):
    with caplog.at_level(logging.INFO):
        list(progress("abc", total=3, description="Reading"))

    assert not caplog.records


def test_items_are_taken_one_by_one():
    taken = []

    def source():
        for number in range(3):
            taken.append(number)
            yield number

    items = progress(source(), total=3, description="Lazy")
    next(items)

    assert taken == [0]


def test_the_error_is_a_value_error():
    assert issubclass(MedmdError, ValueError)
