"""Names by key: stable, apart by domain, and silent about the key."""

import hashlib
import hmac
import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.hospital import KEY_VARIABLE, Pseudonyms, read_key
from medmd.utils import MedmdError

KEY = b"sixteen bytes or more"
NAMES = Pseudonyms(KEY)


def test_a_patients_name_is_the_documented_digest():
    expected = hmac.new(KEY, b"patient|HOSP-0042A", hashlib.sha256).hexdigest()[:16]

    assert NAMES.patient(" hosp-0042a\n") == expected


def test_leading_zeros_tell_patients_apart_and_case_does_not():
    assert NAMES.patient("0042") != NAMES.patient("42")
    assert NAMES.patient("ab1") == NAMES.patient("AB1 ")


@given(st.text(min_size=1))
def test_one_text_has_another_name_in_every_domain(text):
    names = [NAMES.patient(text), NAMES.pointer(text), NAMES.case(text), NAMES.stamp(text)]

    assert len(set(names)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


def test_names_and_days_depend_on_the_key():
    other = Pseudonyms(KEY + b"2")

    assert other.patient("1") != NAMES.patient("1")
    assert other.digest != NAMES.digest
    assert other.moved("a", date(2020, 1, 1)) != NAMES.moved("a", date(2020, 1, 1))


@given(st.dates(date(1950, 1, 1), date(2100, 1, 1)), st.integers(-5000, 5000), st.text())
def test_moved_days_keep_their_distance(day, distance, patient):
    assert NAMES.moved(patient, day + timedelta(days=distance)) - NAMES.moved(patient, day) == distance


def test_a_day_is_moved_far_and_differently_for_each_patient():
    day = date(2020, 1, 1)
    shifts = [NAMES.moved(NAMES.patient(str(number)), day) - day.toordinal() for number in range(400)]

    assert len(set(shifts)) > 390
    assert max(map(abs, shifts)) > 300 * 100
    assert sum(abs(shift) < 366 for shift in shifts) < 15


def test_a_moved_day_changes_its_owner():
    day = date(2020, 1, 1)

    assert NAMES.moved_to(NAMES.moved("file", day), "file", "patient") == NAMES.moved("patient", day)


def test_the_key_is_not_in_the_text_of_an_object():
    assert "sixteen" not in repr(NAMES)


def test_the_key_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    monkeypatch.setenv(KEY_VARIABLE, "another key of enough bytes")

    assert read_key(file) == KEY
    assert read_key(None) == b"another key of enough bytes"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"short", "expected at least 16 bytes, got 5"), (b"  \n", "got 0"), (None, "cannot be read")],
)
def test_a_useless_key_file_is_refused_with_a_command_that_makes_one(tmp_path, content, words):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(MedmdError, match=words) as caught:
        read_key(file)
    assert "secrets.token_hex" in str(caught.value)
    assert "short" not in str(caught.value)


def test_without_a_key_the_call_is_refused(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)

    with pytest.raises(MedmdError, match=r"No key.*--key-file.*secrets\.token_hex"):
        read_key(None)
