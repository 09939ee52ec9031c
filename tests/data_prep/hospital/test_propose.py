from datetime import datetime

import pytest
from openpyxl import Workbook

from data_prep.hospital._propose import propose
from data_prep.hospital._propose_names import guess_columns
from data_prep.hospital._propose_tables import pattern_of
from data_prep.hospital._site import SiteConfig, load_site
from data_prep.hospital._tables import image_facts, table_fields
from medmd.io import VisualField
from medmd.utils import MedmdError


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    return folder


def accepted(export, tmp_path):
    text = propose(export)
    path = tmp_path / "site.yaml"
    path.write_text(text)
    return text, load_site(path, source=export)


def test_an_empty_export_gives_the_defaults(export, tmp_path):
    text, site = accepted(export, tmp_path)
    assert site == SiteConfig()
    assert "Tables in the export: 0" in text


def test_every_setting_is_explained(export):
    text = propose(export)
    for name in ("window_days: 180", "max_false_positives: 0.15", 'patterns: ["24-2", "24-2C"]', "min_slices: 16"):
        assert name in text
    assert text.count("# ") > 40


def test_no_folder_no_proposal(tmp_path):
    with pytest.raises(MedmdError, match="expected the folder"):
        propose(tmp_path / "absent")


ENGLISH = "MRN,Eye,Exam Date,MD,FP,FN,FL\nSECRET1,OD,31/12/2020,-3.2,3,5,1/14\nSECRET2,OS,01/02/2021,-4,0,0,\n"
GERMAN = "Patienten-Nr;Auge;Untersuchungsdatum;MD (dB);Falsch positive\nSECRET1;RA;31.12.2020;-3,2;0,05\n"
FRENCH = "IPP;Œil;Date examen;Déviation moyenne;Sexe\nSECRET1;droit;2020-12-31;-3,2;féminin\n"
SPANISH = "NHC;Ojo;Fecha;Desviación media;Edad\nSECRET1;derecho;20201231;-3,2;61\n"


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, FRENCH, SPANISH], ids=["english", "german", "french", "spanish"])
def test_tables_of_four_languages_are_understood(export, tmp_path, text):
    (export / "Doe_John_19500101").mkdir()
    (export / "Doe_John_19500101/fields_004711.csv").write_text(text)
    proposed, site = accepted(export, tmp_path)
    rows = list(table_fields(site, export))
    assert isinstance(rows[0].found, VisualField)
    assert (rows[0].found.md, rows[0].found.laterality) == (-3.2, "R")
    assert rows[0].found.acquired.isoformat() == "2020-12-31"
    assert site.tables[0].file == "**/fields_*.csv"
    for secret in ("SECRET", "Doe", "1950", "4711", "2020", "-3.2", "-3,2"):
        assert secret not in proposed


def test_conclusions_from_cells(export, tmp_path):
    (export / "a.csv").write_text(ENGLISH)
    _, site = accepted(export, tmp_path)
    assert site.tables[0].reliability_unit == "percent"
    assert site.tables[0].date_format == "%d/%m/%Y"
    assert site.tables[0].md_convention == "hfa"
    (export / "a.csv").write_text(GERMAN.replace("-3,2", "9,5"))
    _, site = accepted(export, tmp_path)
    assert site.tables[0].reliability_unit == "fraction"
    assert site.tables[0].md_convention == "octopus"


def test_what_cannot_be_told_is_said(export, tmp_path):
    (export / "a.csv").write_text("ID,Eye,Date,MD,FP,Ward\n1,OD,01/02/2020,-3,0,x\n2,XX,03/04/2020,-3,0,y\n")
    text, site = accepted(export, tmp_path)
    words = " ".join(text.replace("#", " ").split())
    assert "`date_format`: %d/%m/%Y and %m/%d/%Y both fit" in words
    assert "`reliability_unit`: no number tells" in words
    assert "`values` of `laterality`: 1 of 2 cells looked at hold no known word" in words
    assert "`constants: {pattern: 24-2}`" in words
    assert "1 further columns are not used" in words
    assert "Ward" not in text
    assert site.tables[0].date_format == "%d/%m/%Y"


def test_a_table_that_lacks_what_is_needed_is_left_out(export, tmp_path):
    (export / "a.csv").write_text("ID,Eye,Age\n1,OD,50\n")
    text, site = accepted(export, tmp_path)
    assert site.tables == ()
    assert "for visual_fields no column was found for date, md" in " ".join(text.replace("#", " ").split())


@pytest.mark.parametrize("content", [b"", b"\0\0", b"SECRET 12,SECRET 13\n", b"Smith,John\nSECRET,x\n"])
def test_what_is_no_table_is_left_out(export, tmp_path, content):
    (export / "a.csv").write_bytes(content)
    text, site = accepted(export, tmp_path)
    assert site.tables == ()
    assert "SECRET" not in text
    assert "Smith" not in text


def test_tables_of_one_name_with_other_headers_are_left_out(export, tmp_path):
    for folder, headers in (("x", "ID,Eye,Date,MD"), ("y", "ID,Eye,Date,Note")):
        (export / folder).mkdir()
        (export / folder / "a.csv").write_text(f"{headers}\n1,OD,2020-01-01,-3\n")
    text, site = accepted(export, tmp_path)
    assert site.tables == ()
    assert "tables of this name have different headers" in text


def test_a_workbook_of_images_below_a_title(export, tmp_path):
    book = Workbook()
    book.active.append(["Photographs of the clinic"])
    book.active.append(["File name", "Patient ID", "Eye", "Date", "Modality"])
    book.active.append(["p.png", 7, "OS", datetime(2020, 1, 2), "CFP"])
    book.save(export / "photos.xlsx")
    (export / "p.png").write_bytes(b"")
    _, site = accepted(export, tmp_path)
    assert site.tables[0].header_row == 2
    (facts,) = image_facts(site, export).values()
    assert (facts.kind, facts.laterality) == ("fundus", "L")


def test_formats_are_counted_and_nothing_is_named(export):
    (export / "SECRET").mkdir()
    for number in range(9):
        (export / f"SECRET/SECRET{number}").write_bytes(b"nothing known")
    text = propose(export)
    assert "9 files; formats of 5 that were looked at (tables aside): not recognised 5." in text
    assert "SECRET" not in text


def test_a_file_that_breaks_a_reader_is_counted(export, monkeypatch):
    def broken(path):
        raise RuntimeError("SECRET")

    (export / "x").write_bytes(b"1")
    monkeypatch.setattr("medmd.io.recognise", broken)
    assert "not readable 1." in propose(export)


def test_two_columns_that_fit_alike_are_left_to_a_person():
    assert guess_columns(["ID", "MRN", "Eye", "eye", "Date"]) == {"date": "Date"}
    assert guess_columns(["ID", "Patient ID"]) == {"patient": "Patient ID"}
    assert guess_columns(["Mean deviaton", "False Positive Errors"]) == {
        "md": "Mean deviaton", "false_positives": "False Positive Errors",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "pattern"), [("a.csv", "a.csv"), ("x/y/a.csv", "**/a.csv"), ("x/f_12_345.csv", "**/f_12_*.csv")]
)
def test_patterns_leave_folders_and_long_numbers_out(place, pattern):
    assert pattern_of(place) == pattern
