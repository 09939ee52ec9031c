import numpy as np
import pandas as pd
import pytest

from data_prep.grape import read_visits
from data_prep.grape._visits import WORKBOOK, find_workbook
from medmd.utils import MedmdError


def read(folder):
    return read_visits(find_workbook(folder))


def test_every_visit_is_read_as_pandas_reads_it(make_grape):
    folder = make_grape()
    visits = read(folder).visits
    table = pd.read_excel(folder / WORKBOOK, sheet_name="Follow-up", header=[0, 1])
    assert len(visits) == len(table) == 48
    expected = {
        (row.iloc[0], {"OD": "R", "OS": "L"}[row.iloc[1]], row.iloc[2]): row.iloc[8:69].to_numpy(float)
        for _, row in table.iterrows()
    }
    for visit in visits:
        np.testing.assert_array_equal(visit.field, expected[visit.subject, visit.laterality, visit.number])


def test_what_is_known_of_the_eye_reaches_its_later_visits(make_grape):
    by_id = {visit.case_id: visit for visit in read(make_grape()).visits}
    first, second, third = (by_id[f"grape-0002-L-{number}"] for number in (1, 2, 3))
    assert (first.patient_id, first.sex, first.age, first.cct, first.iop) == ("grape-0002", "M", 42, 540, 14.5)
    assert first.rnfl == (65, 75, 55, 80, 50)
    assert (second.age, second.years_since_first, second.iop, second.cct) == (42.75, 0.75, 15.5, 540)
    assert second.rnfl is None
    assert (second.photograph, third.photograph, third.device) == ("2_OS_2.jpg", None, None)
    assert by_id["grape-0003-R-1"].rnfl is None


def test_visits_come_in_order_whatever_the_order_of_rows(make_grape):
    def reverse(book):
        sheet = book["Follow-up"]
        rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=3)]
        for index, row in enumerate(reversed(rows), start=3):
            for column, value in enumerate(row, start=1):
                sheet.cell(index, column, value)

    plain, reversed_ = read(make_grape()).visits, read(make_grape(edit=reverse, name="reversed")).visits
    assert [visit.case_id for visit in plain] == [visit.case_id for visit in reversed_]
    assert [visit.field for visit in plain] == [visit.field for visit in reversed_]


def test_one_missing_rnfl_value_makes_the_five_missing(make_grape):
    visits = read(make_grape(edit=lambda book: book["Baseline"].__setitem__("N3", "/"))).visits
    assert [visit.rnfl is None for visit in visits if visit.number == 1][:4] == [False, True, False, False]


def test_unknown_age_sex_and_interval_stay_unknown(make_grape):
    def edit(book):
        book["Baseline"]["C3"], book["Baseline"]["D3"] = "/", "?"
        book["Follow-up"]["D7"] = "/"

    by_id = {visit.case_id: visit for visit in read(make_grape(edit=edit)).visits}
    assert (by_id["grape-0001-R-1"].age, by_id["grape-0001-R-1"].sex, by_id["grape-0001-R-2"].age) == (None, None, None)
    assert by_id["grape-0001-L-2"].years_since_first is None
    assert by_id["grape-0001-L-2"].age is None


def test_a_first_visit_told_differently_by_the_sheets_is_marked(make_grape):
    visits = read(make_grape(edit=lambda book: book["Follow-up"].__setitem__("I3", 33))).visits
    assert [visit.case_id for visit in visits if not visit.sheets_agree] == ["grape-0001-R-1"]


def test_follow_up_rows_without_baseline_are_named(make_grape):
    found = read(make_grape(edit=lambda book: book["Baseline"].delete_rows(3)))
    assert found.without_baseline == ["grape-0001-R-1", "grape-0001-R-2", "grape-0001-R-3"]
    assert not any(visit.case_id.startswith("grape-0001-R") for visit in found.visits)


def rename(sheet, cell, text):
    return lambda book: book[sheet].__setitem__(cell, text)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (rename("Baseline", "T1", "Visual field"), r"Sheet 'Baseline': the layout is not .* 'VF' > '0', 'VF' > '1'"),
        (rename("Baseline", "J2", "Mean deviation"), "'Progression Status' > 'MD'"),
        (rename("Follow-up", "C1", "Visit"), "Sheet 'Follow-up'.*'Visit Number'"),
        (lambda book: book["Baseline"].delete_cols(80), "'VF' > '60'"),
        (lambda book: book.remove(book["Follow-up"]), "expected the sheets Baseline and Follow-up, got Baseline"),
        (rename("Baseline", "B3", "right"), "row 3, column 'Laterality': expected OD or OS, got 'right'"),
        (rename("Baseline", "AO3", 20), "row 3, visual field: point 21 is the blind spot"),
        (rename("Follow-up", "I4", 99), "sheet 'Follow-up', row 4, visual field: point 0"),
        (rename("Follow-up", "C4", 1), "row 4: grape-0001-R-1 is there twice, first in sheet 'Follow-up', row 3"),
        (rename("Baseline", "B4", "OD"), "grape-0001-R-1 is there twice"),
    ],
)
def test_another_layout_is_refused_and_says_where(make_grape, edit, message):
    with pytest.raises(MedmdError, match=message):
        read(make_grape(edit=edit))


def test_a_folder_without_workbook_is_refused(tmp_path):
    with pytest.raises(MedmdError, match="expected the GRAPE release with the workbook"):
        find_workbook(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no workbook", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_workbook_is_refused(tmp_path, content):
    (tmp_path / WORKBOOK).write_bytes(content)
    with pytest.raises(MedmdError, match="not a readable Excel workbook"):
        read(tmp_path)


def test_columns_are_found_by_name_when_others_are_put_between(make_grape):
    plain = read(make_grape()).visits
    wider = read(make_grape(edit=lambda book: book["Follow-up"].insert_cols(3), name="wider")).visits
    assert [visit.field for visit in plain] == [visit.field for visit in wider]
