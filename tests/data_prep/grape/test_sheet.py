import pytest

from data_prep.grape._sheet import read_sheet
from medmd.utils import MedmdError

TOP = ("Subject Number", " Age ", "OCT  RNFL thickness", None, "Device")
BOTTOM = (None, None, "Mean", "S", None)


def sheet(*rows):
    return read_sheet("Baseline", iter([TOP, BOTTOM, *rows]))


def test_groups_reach_over_their_merged_columns_only():
    row = next(sheet((1, 40, 100, 120, "TRC")).records())
    assert row.whole("Subject Number") == 1
    assert row.number_or_none("Age") == 40
    assert row.number_or_none("OCT RNFL thickness", "Mean") == 100
    assert row.number_or_none("OCT RNFL thickness", "S") == 120
    assert row.text("Device") == "TRC"
    assert row.place == "sheet 'Baseline', row 3"


@pytest.mark.parametrize("nothing", [None, "/", " / ", "", "  "])
def test_a_slash_or_an_empty_cell_is_nothing(nothing):
    row = next(sheet((1, nothing, 100, 120, nothing)).records())
    assert row.number_or_none("Age") is None
    assert row.text("Device") is None


def test_numbers_that_were_typed_as_text_are_read():
    assert next(sheet((1, " 40.5 ", 1, 1, "x")).records()).number_or_none("Age") == 40.5


@pytest.mark.parametrize("wrong", ["forty", True, float("nan"), float("inf"), "nan"])
def test_anything_else_in_a_column_of_numbers_is_refused(wrong):
    row = next(sheet((1, wrong, 1, 1, "x")).records())
    with pytest.raises(MedmdError, match=r"sheet 'Baseline', row 3, column 'Age': expected a number or '/'"):
        row.number_or_none("Age")


@pytest.mark.parametrize("wrong", ["/", 1.5])
def test_a_whole_number_must_be_one(wrong):
    row = next(sheet((wrong, 40, 1, 1, "x")).records())
    with pytest.raises(MedmdError, match="'Subject Number': expected a whole number"):
        row.whole("Subject Number")


def test_empty_rows_are_passed_over_and_short_rows_end_early():
    rows = list(sheet((None,) * 5, ("/", "", None, None, None), (7,)).records())
    assert [row.number for row in rows] == [5]
    assert rows[0].text("Device") is None


def test_columns_are_found_wherever_they_stand_and_however_they_are_spaced():
    moved = read_sheet("B", iter([("Device", "subject  number"), (None, None), ("TRC", 3)]))
    moved.require([("Subject Number", ""), ("DEVICE", "")])
    assert next(moved.records()).whole("Subject Number") == 3


def test_missing_columns_are_all_named():
    with pytest.raises(MedmdError, match=r"Missing columns: 'IOP', 'VF' > '60'\. Found: 'subject number'"):
        sheet().require([("IOP", ""), ("Age", ""), ("VF", "60")])


def test_a_column_that_is_there_twice_is_refused():
    with pytest.raises(MedmdError, match="two columns are called 'age'"):
        read_sheet("B", iter([("Age", "Age"), (None, None)]))


def test_a_sheet_without_header_is_refused():
    with pytest.raises(MedmdError, match="expected two header rows"):
        read_sheet("B", iter([("Age",)]))


def test_columns_before_any_group_are_ignored():
    assert read_sheet("B", iter([(None, "Age"), ("stray", None, 7)])).columns == {("age", ""): 1, ("age", "7"): 2}
