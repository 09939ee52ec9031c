from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from data_prep.hospital._site import SiteConfig
from data_prep.hospital._site_sections import FieldRules, Table
from data_prep.hospital._tables import ImageFacts, image_facts, image_rows, table_fields, table_places
from data_prep.hospital._tables_cells import UnclearError, read_day, read_identifier, read_number, read_share, read_word
from data_prep.hospital._tables_rows import header_like, match_header, records, table_files
from medmd.io import RefusedError, VisualField
from medmd.utils import MedmdError

COLUMNS = {"patient": "ID", "laterality": "Eye", "date": "Day", "md": "MD"}
FIELDS = Table(file="a.csv", kind="visual_fields", columns=COLUMNS)
IMAGES = Table(
    file="i.csv", kind="images", columns={"file": "File", "patient": "ID", "laterality": "Eye", "date": "Day"}
)
HEAD = "ID,Eye,Day,MD"


def site(*tables, **rules):
    return SiteConfig(tables=tables, visual_field=FieldRules(**rules))


def fields(tmp_path, text, table=FIELDS, **rules):
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(table_fields(site(table, **rules), tmp_path))


def test_a_row_becomes_a_visual_field(tmp_path):
    columns = COLUMNS | {
        "psd": "PSD", "vfi": "VFI", "pattern": "Test", "strategy": "Strat", "fixation_losses": "FL",
        "false_positives": "FP", "false_negatives": "FN", "age": "Age", "birth_date": "DOB", "sex": "Sex",
    }  # fmt: skip
    table = Table(file="a.csv", kind="visual_fields", columns=columns, reliability_unit="percent")
    text = (
        "ID,Eye,Day,MD,PSD,VFI,Test,Strat,FL,FP,FN,Age,DOB,Sex\n"
        "0012,OD,2020-02-29,-3.2,2.1,93%,24-2,SITA Fast,1/14,3,12 %,61,19590103,female\n"
    )
    ((place, found),) = fields(tmp_path, text, table)
    assert place == "a.csv#2"
    assert found == VisualField(
        source_format="table", subject=found.subject, laterality="R", acquired=date(2020, 2, 29), md=-3.2, psd=2.1,
        vfi=93.0, pattern="24-2", strategy="sita-fast", fixation_losses=1 / 14, false_positives=0.03,
        false_negatives=0.12,
    )  # fmt: skip
    assert found.subject.identifier == "0012"
    assert found.subject.birth_date == date(1959, 1, 3)
    assert (found.subject.age, found.subject.sex) == (61.0, "F")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",R,2020-01-01,-3", "row-patient-missing"),
        ("1,,2020-01-01,-3", "row-laterality-missing"),
        ("1,both,2020-01-01,-3", "row-laterality-unclear"),
        ("1,R,,-3", "row-date-missing"),
        ("1,R,01.02.2020,-3", "row-date-unclear"),
        ("1,R,2020-02-30,-3", "row-date-unclear"),
        ("1,R,1020-02-03,-3", "row-date-unclear"),
        ("1,R,2020-01-01,n/a", "row-md-missing"),
        ("1,R,2020-01-01,SECRET", "row-md-unclear"),
        ("1,R,2020-01-01,-3;4", "row-md-unclear"),
        ("1,R,2020-01-01,-1e3", "row-md-unclear"),
        ("1,R,2020-01-01,-41", "row-md-out-of-range"),
        ("1,R", "row-date-missing"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_one_by_one(tmp_path, row, reason):
    bad, good = fields(tmp_path, f"{HEAD}\n{row}\n2,L,2020-01-01,-4\n")
    assert isinstance(bad.found, RefusedError)
    assert bad.found.reason == reason
    assert "SECRET" not in str(bad.found)
    assert bad.found.fix
    assert good.place == "a.csv#3"
    assert good.found.md == -4
    assert good.table == "a.csv"


def test_what_can_be_missing_is_left_open(tmp_path):
    table = Table(file="a.csv", kind="visual_fields", columns=COLUMNS | {"sex": "S", "age": "A", "psd": "P"})
    ((_, found),) = fields(tmp_path, "ID,Eye,Day,MD,S,A,P\n1,R,2020-01-01,-3,what,200,x\n", table)
    assert (found.subject.sex, found.subject.age, found.psd) == (None, None, None)
    assert set(found.warnings) == {"sex-unclear", "age-unclear", "psd-unclear"}


def test_unclear_reliability_is_not_taken_for_none(tmp_path):
    table = Table(
        file="a.csv", kind="visual_fields", columns=COLUMNS | {"false_positives": "FP"}, reliability_unit="fraction"
    )
    rows = fields(
        tmp_path, "ID,Eye,Day,MD,FP\n1,R,2020-01-01,-3,15\n1,R,2020-01-01,-3,0.15\n1,L,2020-01-01,-3,\n", table
    )
    assert rows[0].found.reason == "row-false-positives-unclear"
    assert [row.found.false_positives for row in rows[1:]] == [0.15, None]


@pytest.mark.parametrize(("where", "expected"), [("site", 3.0), ("table", 3.0), ("neither", -3.0)])
def test_the_sign_of_a_mean_defect(tmp_path, where, expected):
    table = Table(
        file="a.csv", kind="visual_fields", columns=COLUMNS, md_convention="octopus" if where == "table" else None
    )
    rules = {"md_convention": "octopus"} if where == "site" else {}
    ((_, found),) = fields(tmp_path, f"{HEAD}\n1,R,2020-01-01,-3\n", table, **rules)
    assert found.md == expected


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_as_programs_write_it(tmp_path, mark, encoding, newline):
    table = Table(file="a.csv", kind="visual_fields", columns=COLUMNS | {"md": "Größe"})
    value = '"-3,2"' if mark == "," else "-3,2"
    lines = [mark.join(["ID", "Eye", "Day", "Größe", "Note"]), mark.join(["007", "links", "2020-01-01", value, "é"])]
    ((_, found),) = fields(tmp_path, newline.join([*lines, ""]).encode(encoding), table)
    assert (found.md, found.laterality, found.subject.identifier) == (-3.2, "L", "007")


def test_quoted_cells_may_hold_lines_and_marks(tmp_path):
    rows = fields(tmp_path, f'{HEAD},Note\n1,R,2020-01-01,-3,"a;b;c\nd"\n\n2,R,2020-01-01,-4,x\n')
    assert [row.found.md for row in rows] == [-3.0, -4.0]


def test_excel_with_title_rows_dates_numbers_and_a_sheet(tmp_path):
    book = Workbook()
    book.active.append(["SECRET"])
    sheet = book.create_sheet("Fields")
    sheet.append(["Visual fields of 2020"])
    sheet.append(["ID", "Eye", "Day", "MD"])
    sheet.append([12, "R", datetime(2020, 1, 2, 13, 30), -3.25])
    sheet.append([None, None, None, None])
    sheet.append(["x", "L", date(2020, 1, 3), "-4,5"])
    sheet.append([1.5, "L", date(2020, 1, 3), -1])
    book.save(tmp_path / "a.xlsx")
    table = Table(file="*.xlsx", kind="visual_fields", columns=COLUMNS, sheet="fields", header_row=2, patient_digits=6)
    rows = list(table_fields(site(table), tmp_path))
    assert [row.place for row in rows] == ["a.xlsx#3", "a.xlsx#5", "a.xlsx#6"]
    assert [row.found.subject.identifier for row in rows[:2]] == ["000012", "x"]
    assert [row.found.acquired for row in rows[:2]] == [date(2020, 1, 2), date(2020, 1, 3)]
    assert [row.found.md for row in rows[:2]] == [-3.25, -4.5]
    assert rows[2].found.reason == "row-patient-unclear"


def test_a_table_that_changed_after_the_check_is_refused_without_cells(tmp_path):
    with pytest.raises(MedmdError, match="a column of the site file is no longer there") as caught:
        fields(tmp_path, "SECRET,B\n1,2\n")
    assert "SECRET" not in str(caught.value)


def test_workbooks_that_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("data_prep.hospital._tables_rows._MOST_UNPACKED", 10)
    Workbook().save(tmp_path / "a.xlsx")
    with pytest.raises(MedmdError, match="unpacks to more than 10 bytes"):
        list(records(tmp_path / "a.xlsx", FIELDS))


@pytest.mark.parametrize("content", [b"a\0b", b"x" * 200_000 + b",1\n" * 2])
def test_texts_that_are_no_tables(tmp_path, content):
    with pytest.raises(MedmdError):
        fields(tmp_path, content)


def test_huge_texts_and_rows_are_refused(tmp_path, monkeypatch):
    with pytest.raises(MedmdError, match="more than 10000 cells"):
        fields(tmp_path, "," * 10_001)
    monkeypatch.setattr("data_prep.hospital._tables_rows.MAX_TEXT_BYTES", 10)
    with pytest.raises(MedmdError, match="larger than 10 bytes"):
        fields(tmp_path, "a" * 20)


def test_patterns_of_tables(tmp_path):
    for name in ("a.csv", "x/a.csv", "x/y/a.csv", "x/b.CSV", "x/c.jpg", "x/[1].csv", "x/~$a.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "x/link.csv").symlink_to(tmp_path / "a.csv")

    def found(pattern):
        return [path.relative_to(tmp_path).as_posix() for path in table_files(Table(file=pattern), tmp_path)]

    assert found("a.csv") == ["a.csv"]
    assert found("./x/*.csv") == ["x/[1].csv", "x/a.csv", "x/b.CSV"]
    assert found("x\\?.csv") == ["x/a.csv", "x/b.CSV"]
    assert found("**/a.csv") == ["a.csv", "x/a.csv", "x/y/a.csv"]
    assert found("x/[1].csv") == ["x/[1].csv"]
    assert found("x/**") == []
    both = site(Table(file="a.csv"), Table(file="**/a.csv"))
    assert table_places(both, tmp_path) == ["a.csv", "x/a.csv", "x/y/a.csv"]


@pytest.mark.parametrize(
    ("wanted", "headers", "place"),
    [
        ("MD", ["md", "MD"], 1),
        ("md (db)", ["ID", "MD [dB]"], 1),
        ("MD", ["M.D.", "m-d"], None),
        ("MD", ["", "x"], None),
    ],
)
def test_headers_are_matched(wanted, headers, place):
    assert match_header(wanted, headers) == place


@pytest.mark.parametrize(
    ("row", "is_header"),
    [
        (["ID", "MD (dB)", "24-2"], False),
        (["ID", "MD (dB)"], True),
        (["12345", "R"], False),
        (["a", "2020-01-01"], False),
        (["x"], False),
    ],
)
def test_what_looks_like_headers(row, is_header):
    assert header_like(row) is is_header


def images(tmp_path, text, *files, table=IMAGES):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / table.file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / table.file).write_text(text)
    return site(table)


def test_facts_of_images(tmp_path):
    columns = IMAGES.columns | {
        "kind": "Kind",
        "region": "Region",
        "field_of_view": "FOV",
        "signal": "Q",
        "scan_pattern": "P",
    }
    table = Table(file="t/i.csv", kind="images", columns=columns)
    text = (
        "File,ID,Eye,Day,Kind,Region,FOV,Q,P\n"
        "a.png,1,R,2020-01-01,Fundus,Papille,45°,,\n"
        "D:\\export\\B.PNG,2,L,2020-01-02,OCT,macula,,bad,cube\n"
        "x/c.png,3,L,2020-01-02,,,,7,\n"
    )
    config = images(tmp_path, text, "t/a.png", "a.png", "x/b.png", "x/c.png", table=table)
    facts = image_facts(config, tmp_path)
    assert set(facts) == {"t/a.png", "x/b.png", "x/c.png"}
    first, second, third = facts.values()
    assert (first.subject.identifier, first.laterality, first.acquired) == ("1", "R", date(2020, 1, 1))
    assert (first.kind, first.region, first.field_of_view, first.table) == ("fundus", "disc", 45.0, "t/i.csv")
    assert (second.kind, second.region, second.signal, second.scan_pattern) == ("oct", "macula", None, "raster")
    assert (third.kind, third.region, third.signal) == (None, None, 7.0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("absent.png,1,R,2020-01-01", "row-file-absent"),
        ("../secret.png,1,R,2020-01-01", "row-file-absent"),
        ("double.png,1,R,2020-01-01", "row-file-unclear"),
        (",1,R,2020-01-01", "row-file-missing"),
        ("a.png,,R,2020-01-01", "row-patient-missing"),
    ],
)
def test_rows_of_images_that_cannot_be_used(tmp_path, row, reason):
    config = images(tmp_path, f"File,ID,Eye,Day\n{row}\n", "a.png", "x/double.png", "y/double.png")
    (found,) = image_rows(config, tmp_path)
    assert found.found.reason == reason
    assert "png" not in str(found.found)
    assert image_facts(config, tmp_path) == {}


def test_rows_that_repeat_or_contradict_each_other(tmp_path):
    text = "File,ID,Eye,Day\na.png,1,R,2020-01-01\na.png,1,OD,20200101\nb.png,1,R,2020-01-01\nb.png,1,L,2020-01-01\n"
    config = images(tmp_path, text, "a.png", "b.png")
    rows = list(image_rows(config, tmp_path))
    assert [row.place for row in rows] == ["i.csv#2", "i.csv#4", "i.csv#5"]
    assert isinstance(rows[0].found, ImageFacts)
    assert [row.found.reason for row in rows[1:]] == ["row-contradicts"] * 2
    assert set(image_facts(config, tmp_path)) == {"a.png"}


def test_facts_show_nothing_of_whom_they_are(tmp_path):
    config = images(tmp_path, "File,ID,Eye,Day\na.png,SECRET,R,2020-01-01\n", "a.png")
    (facts,) = image_facts(config, tmp_path).values()
    assert "SECRET" not in repr(facts)
    assert "2020" not in repr(facts)
    assert "i.csv" not in repr(facts)


@pytest.mark.parametrize(
    ("cell", "style", "expected"),
    [
        ("31.12.2020", "%d.%m.%Y", date(2020, 12, 31)),
        (datetime(2020, 12, 31, 5), "%d.%m.%Y", date(2020, 12, 31)),
        (44196, "excel", date(2020, 12, 31)),
        ("44196,5", "excel", date(2020, 12, 31)),
        (20201231, None, date(2020, 12, 31)),
        ("2020-12-31T10:00:00", None, date(2020, 12, 31)),
        (None, None, None),
    ],
)
def test_days(cell, style, expected):
    assert read_day(cell, Table(date_format=style)) == expected


@pytest.mark.parametrize(
    ("cell", "unit", "expected"),
    [("12 %", None, 0.12), ("1/4", None, 0.25), (12, "percent", 0.12), ("0,5", "fraction", 0.5), (None, None, None)],
)
def test_shares(cell, unit, expected):
    assert read_share(cell, "false_positives", Table(reliability_unit=unit)) == expected


@pytest.mark.parametrize("cell", ["3/2", "0/0", "-1", "140 %", "x"])
def test_shares_that_are_none(cell):
    with pytest.raises(UnclearError):
        read_share(cell, "false_positives", Table(reliability_unit="percent"))


def test_words_of_the_site_file_come_first():
    table = Table(values={"laterality": {"l": "R", "1": "L"}}, constants={"pattern": "24-2"})
    assert read_word("L", "laterality", table) == "R"
    assert read_word(1.0, "laterality", table) == "L"
    assert read_word("o.s.", "laterality", table) == "L"
    assert read_word(None, "pattern", table) == "24-2"
    assert read_word(None, "sex", table) is None


@pytest.mark.parametrize("cell", [True, date(2020, 1, 1), 3.5])
def test_no_patients_numbers(cell):
    with pytest.raises(UnclearError):
        read_identifier(cell, Table())


@given(st.floats(-40, 40).map(lambda value: round(value, 3)), st.sampled_from(["{}", "{} dB", " {}", "{}dB"]))
def test_numbers_survive_how_people_write_them(value, style):
    plain = f"{value:.3f}"
    for text in (plain, plain.replace(".", ","), plain.replace("-", "−")):
        assert read_number(style.format(text), "md") == value


@given(st.text(max_size=20) | st.floats() | st.integers() | st.none() | st.dates())
def test_any_cell_is_read_or_unclear(cell):
    table = Table(reliability_unit="percent")
    readers = [
        lambda: read_number(cell, "md"), lambda: read_day(cell, table), lambda: read_share(cell, "md", table),
        lambda: read_identifier(cell, table), lambda: read_word(cell, "laterality", table),
        lambda: read_day(cell, Table(date_format="excel")), lambda: read_day(cell, Table(date_format="%d.%m.%Y")),
    ]  # fmt: skip
    codes = {_code(read) for read in readers}
    assert codes <= {None, "md-unclear", "date-unclear", "patient-unclear", "laterality-unclear"}


def _code(read):
    try:
        read()
    except UnclearError as error:
        return str(error)
    return None
