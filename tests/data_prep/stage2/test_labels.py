import pytest
from openpyxl import Workbook

from data_prep.stage2._labels import Person, as_number, eye_number, find_columns, read_grades, read_info, read_md
from data_prep.stage2._tree import File
from medmd.utils import MedmdError

LIMITS = (-40.0, 6.0)


def csv(tmp_path, *lines):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    return File(path, "t.csv")


def excel(tmp_path, *rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    return File(tmp_path / "t.xlsx", "t.xlsx")


@pytest.mark.parametrize(
    "lines",
    [
        ("ID,MD", "1,-3.5", "0002,1"),
        ("MD,ID", "-3.5,1", "1,2"),
        ("id , md (dB)", "0001.jpg,-3.5", "2.0,1"),
        ("number,deviation", "1,-3.5", "2,1"),
        ("1,-3.5", "2,1"),
        ("ID;MD", "1;\N{MINUS SIGN}3,5", "2;1"),
    ],
)
def test_md_is_found_by_name_else_by_position(tmp_path, lines):
    table = read_md(csv(tmp_path, *lines), limits=LIMITS)
    assert table.rows == {1: -3.5, 2: 1.0}
    assert table.faults == {}


def test_how_a_column_was_found_is_told(tmp_path):
    assert read_md(csv(tmp_path, "ID,deviation", "1,-3"), limits=LIMITS).columns == {
        "id": "column 1 by its name 'ID'",
        "md": "column 2 by its position, called 'deviation'",
    }
    assert read_md(csv(tmp_path, "1,-3"), limits=LIMITS).columns["md"] == "column 2 by its position"


def test_excel_numbers_and_texts(tmp_path):
    table = read_md(excel(tmp_path, ("ID", "MD"), (1, -3.5), ("0002", "1"), (3.0, None)), limits=LIMITS)
    assert table.rows == {1: -3.5, 2: 1.0, 3: None}
    assert table.faults == {3: "label_missing"}


def test_every_faulty_row_has_its_reason(tmp_path):
    rows = ["ID,MD", "1,", "2,NaN", "3,n/a", "4,-41", "5,6.5", "6,-2", "6,-3", "7,-2", "7,-2.0", "8,-2", "8,-3", "8,-2", "x,-2", ",-1"]  # fmt: skip # noqa: E501
    table = read_md(csv(tmp_path, *rows), limits=LIMITS)
    assert table.faults == {
        1: "label_missing",
        2: "label_missing",
        3: "label_missing",
        4: "label_out_of_range",
        5: "label_out_of_range",
        6: "label_contradictory",
        8: "label_contradictory",
    }
    assert table.rows[7] == -2.0
    assert table.unnamed == ["t.csv, row 14", "t.csv, row 15"]


@pytest.mark.parametrize("lines", [(), ("ID",), ("ID", "1"), ("MD", "-3")])
def test_a_table_without_md_is_refused(tmp_path, lines):
    with pytest.raises(MedmdError, match=r"t.csv: expected columns for"):
        read_md(csv(tmp_path, *lines), limits=LIMITS)


def test_info_as_the_release_has_it(tmp_path):
    rows = [("ID", "gender", "age", "eye", "Glaucoma_stage"), (1, "male", 61, "OD", "normal"), (2, "female", 55, "OS", "advanced")]  # fmt: skip # noqa: E501
    assert read_info(excel(tmp_path, *rows)).rows == {
        1: Person(laterality="R", sex="M", age=61.0, stage="normal"),
        2: Person(laterality="L", sex="F", age=55.0, stage="advanced"),
    }


def test_info_in_another_order_and_without_a_column(tmp_path):
    table = read_info(csv(tmp_path, "ID,Age,Eye,Sex", "1,61,od,Male", "2,,OS,"))
    assert table.rows == {
        1: Person(laterality="R", sex="M", age=61.0),
        2: Person(laterality="L"),
    }
    assert "stage" not in table.columns


def test_info_with_unknown_names_is_read_by_position(tmp_path):
    table = read_info(csv(tmp_path, "a,b,c,d,e", "1,male,61,OD,early"))
    assert table.rows == {1: Person(laterality="R", sex="M", age=61.0, stage="early")}
    assert table.columns["eye"] == "column 4 by its position, called 'd'"


def test_contents_that_cannot_be_read_are_counted_not_guessed(tmp_path):
    table = read_info(csv(tmp_path, "ID,gender,age,eye,Glaucoma_stage", "1,?,200,OU,severe", "2,?,x,OD,", "3,m,5,OD,early", "3,f,5,OD,early"))  # fmt: skip # noqa: E501
    assert table.rows[1] == Person()
    assert table.rows[3] == Person()
    assert table.unknown == {
        "sex": {"?": 2},
        "age": {"200": 1, "x": 1},
        "eye": {"OU": 1},
        "stage": {"severe": 1},
        "id": {"0003 twice": 1},
    }


def test_grades_are_one_hot(tmp_path):
    rows = [("data", "non", "early", "mid_advanced"), (1, 1, 0, 0), (2, 0, 0, 1), (3, 1, 1, 0), (4, 0, 0, 0), (5, 0, 1, None)]  # fmt: skip # noqa: E501
    table = read_grades(excel(tmp_path, *rows))
    assert {n: table.rows[n] for n in (1, 2)} == {1: 0, 2: 2}
    assert set(table.faults) == {3, 4, 5}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1),
        (1.0, 1),
        ("0001", 1),
        ("0012.JPG", 12),
        (" 7 ", 7),
        ("1.5", None),
        (None, None),
        ("a1", None),
        ("", None),
    ],
)
def test_numbers_of_eyes(value, number):
    assert eye_number(value) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        ("-1,5", -1.5),
        ("\N{MINUS SIGN}2", -2.0),
        (True, None),
        ("inf", None),
        (float("nan"), None),
        ("", None),
    ],
)
def test_numbers(value, number):
    assert as_number(value) == number


def test_a_position_does_not_take_a_column_that_is_named_for_something_else():
    places, _ = find_columns(("ID", "age", "whatever"), ("id", "sex", "age"), width=3)
    assert places == {"id": 0, "age": 1}
