"""A small, fixed share of the damaged files; `fuzz_readers.py` beside it reads as many as one likes."""

import fuzz_readers as harness
import pytest


def test_whole_files_are_read_or_refused_as_they_should():
    import medmd.io

    for seed in harness.seeds():
        if not seed.beside and not seed.name.endswith(".img"):
            outcome, fault = harness._attempt(medmd.io, seed.content)
            assert not fault, seed.name
            assert outcome.startswith("read as") != seed.name.startswith("secondary"), (seed.name, outcome)


def test_damaged_files_end_in_a_record_or_a_refusal():
    found = harness.fuzz(2000)
    assert found["faults"] == []
    assert sum(found["outcomes"].values()) == 2000
    assert sum(count for name, count in found["outcomes"].items() if name.startswith("refused")) > 1000


@pytest.mark.parametrize("number", [28457, 29077, 37482, 45707])
def test_files_that_once_ended_in_another_exception(number):
    """pydicom has exceptions of its own that are no ValueErrors."""
    assert harness.fuzz(1, first=number)["faults"] == []


@pytest.mark.slow
def test_many_damaged_files():
    assert harness.fuzz(5000, first=100_000)["faults"] == []
