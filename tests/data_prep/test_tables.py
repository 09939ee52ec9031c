import pytest
from openpyxl import Workbook

from data_prep._tables import read_rows
from medmd.utils import MedmdError


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_csv_files_as_programs_write_them(tmp_path, newline, mark, encoding):
    lines = [f"ID{mark}Größe", f" 0001 {mark}-3.2", "", f"0002{mark}", mark]
    (tmp_path / "t.csv").write_bytes(newline.join(lines).encode(encoding))
    assert read_rows(tmp_path / "t.csv") == [("ID", "Größe"), ("0001", "-3.2"), ("0002", None)]


def test_excel_gives_values_of_the_first_sheet(tmp_path):
    book = Workbook()
    book.active.append(["ID", "MD"])
    book.active.append([1, -3.2])
    book.active.append([None, " "])
    book.active.append(["0002", None])
    book.create_sheet("notes").append(["x"])
    book.save(tmp_path / "t.XLSX")
    assert read_rows(tmp_path / "t.XLSX") == [("ID", "MD"), (1, -3.2), ("0002", None)]


def test_quoted_cells_may_hold_the_delimiter(tmp_path):
    (tmp_path / "t.csv").write_text('a,"b, c"\n')
    assert read_rows(tmp_path / "t.csv") == [("a", "b, c")]


def test_an_empty_file_has_no_rows(tmp_path):
    (tmp_path / "t.csv").write_text("")
    assert read_rows(tmp_path / "t.csv") == []


@pytest.mark.parametrize("name", ["absent.csv", "absent.xlsx", "broken.xlsx"])
def test_what_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "broken.xlsx").write_bytes(b"not a zip")
    with pytest.raises(MedmdError, match=name):
        read_rows(tmp_path / name)
