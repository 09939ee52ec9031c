"""Plain images that a table tells about, and what files and tables say together."""

import json

import pytest
from clinical_dicom import fundus
from PIL import Image

from data_prep.hospital import Pseudonyms
from medmd.data import load_datalist
from medmd.utils import MedmdError

NAMES = Pseudonyms(b"a key of at least 16 bytes")
SITE = """
inputs: {wanted: [fundus]}
tables:
  - file: images.csv
    kind: images
    columns: {file: file, patient: pid, laterality: eye, date: day, birth_date: born, sex: sex}
  - file: fields.csv
    kind: visual_fields
    columns: {patient: pid, laterality: eye, date: day, md: md, false_positives: fp}
    constants: {pattern: 24-2}
    reliability_unit: percent
"""


@pytest.fixture
def plain(tmp_path):
    """Three photographs of two patients, one more that no table tells about, and two tables."""
    root = tmp_path / "plain"
    (root / "photos").mkdir(parents=True)
    for number in range(4):
        Image.fromarray(fundus((200, 220), seed=number)).save(root / "photos" / f"{number}.png")
    (root / "images.csv").write_text(
        "file;pid;eye;day;born;sex\n"
        "photos/0.png;0042;OD;2020-03-01;1929-03-02;F\n"
        "photos/1.png;0042;OS;2020-03-01;1929-03-02;F\n"
        "photos/2.png;42;OD;2020-03-05;1960-01-01;M\n"
        "photos/absent.png;42;OD;2020-03-05;1960-01-01;M\n"
    )
    (root / "fields.csv").write_text(
        "pid;eye;day;md;fp\n"
        "0042;OD;2020-03-11;-4.5;3\n"
        "0042;OS;2020-03-11;-9;2\n"
        "42;OD;2020-02-24;-1.25;0\n"
        "42;OD;2020-02-24;unknown;0\n"
        "42;OS;2021-02-24;-3;40\n"
    )
    return root


def test_photographs_and_fields_of_tables_become_cases(tmp_path, plain, pool, run):
    report = run(source=plain, site=SITE)

    for tally in report.tallies:
        tally.check()
    cases = {
        (case.patient_id, case.laterality): case
        for _, case in load_datalist(tmp_path / "out" / "datalist.json").cases()
    }
    assert {key: case.target for key, case in cases.items()} == {
        (NAMES.patient("0042"), "R"): -4.5,
        (NAMES.patient("0042"), "L"): -9.0,
        (NAMES.patient("42"), "R"): -1.25,
    }
    assert cases[NAMES.patient("0042"), "R"].details["days_fundus_vf"] == -10
    assert cases[NAMES.patient("42"), "R"].details["days_fundus_vf"] == 10
    # 90 years at the photograph; the table of fields gives no birth date.
    assert cases[NAMES.patient("0042"), "R"].age == 90
    assert cases[NAMES.patient("42"), "R"].sex == "M"


def test_every_file_and_row_is_counted(plain, pool, run):
    files, examinations, rows = run(source=plain, site=SITE).tallies

    assert (files.total, files.converted, files.merged) == (6, 4, 1)
    assert {reason: len(items) for reason, items in files.excluded.items()} == {"patient-missing": 1}
    assert (examinations.total, examinations.converted) == (9, 6)
    assert set(examinations.excluded) == {"patient-missing", "row-md-unclear", "false-positives-high"}
    assert (rows.total, rows.merged) == (4, 3)
    assert set(rows.excluded) == {"row-file-absent"}


def test_a_corrected_table_needs_no_reading_of_images(tmp_path, plain, pool, run, snapshot):
    run(source=plain, site=SITE)
    read = pool.count("scan")
    table = plain / "images.csv"
    table.write_text(table.read_text() + "photos/3.png;7;OS;2020-03-05;1960-01-01;F\n")
    fields = plain / "fields.csv"
    fields.write_text(fields.read_text() + "7;OS;2020-03-06;-2;1\n")

    run(source=plain, site=SITE)

    assert pool.count("scan") == read
    assert len(list(load_datalist(tmp_path / "out" / "datalist.json").cases())) == 4
    run(source=plain, site=SITE, out="fresh")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "fresh")


def test_no_day_number_or_name_of_tables_is_in_the_result(tmp_path, plain, pool, run):
    run(source=plain, site=SITE)

    words = [b"2020-03", b"2020", b"1929", b"0042", b"photos", b"images.csv", b"fields.csv"]
    for name in ("report.json", "report.html", "datalist.json", ".medmd-index.sqlite"):
        data = (tmp_path / "out" / name).read_bytes()
        pictures = b"base64," in data
        for word in words:
            assert (pictures and len(word) < 6) or word not in data, (name, word)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{file};HOSP-0009;R;2020-01-07", "table-contradicts"),
        ("{file};HOSP-0001;L;2020-01-07", "table-contradicts"),
        ("{file};HOSP-0001;R;2020-01-08", "table-contradicts"),
        ("{file};HOSP-0001;R;2020-01-07", None),
        ("{file};HOSP-0001;;2020-01-07", None),
    ],
)
def test_a_table_that_contradicts_a_file_is_a_reason(tmp_path, export, pool, run, row, reason):
    from pydicom import dcmread

    files = [path for path in export.rglob("*") if path.is_file() and path.name != "DICOMDIR"]
    first = next(
        path
        for path in files
        if (found := dcmread(path, stop_before_pixels=True)).Modality == "OPT"
        and (found.PatientID, found.ImageLaterality) == ("HOSP-0001", "R")
    )
    place = first.relative_to(export).as_posix()
    (export / "images.csv").write_text("file;pid;eye;day\n" + row.format(file=place) + "\n")
    site = SITE.split("  - file: fields.csv")[0].replace("inputs: {wanted: [fundus]}", "oct: {min_slices: 4}")
    site = site.replace(", birth_date: born, sex: sex", "") + "quality: {max_saturated_volume: 1.0}\n"

    report = run(site=site)

    found = report.tallies[1].excluded
    assert list(found) == ([reason] if reason else [])
    assert json.loads((tmp_path / "out" / "report.json").read_text())["examinations"]["total"] == 21


def test_a_table_that_two_entries_name_is_refused(plain, pool, run):
    twice = SITE + SITE.split("  - file: images.csv")[1].split("  - file: ")[1].join(["  - file: ", ""])

    with pytest.raises(MedmdError, match="two entries"):
        run(source=plain, site=twice)


def test_a_table_in_a_folder_of_litter_is_read_when_it_is_named(plain, pool, run):
    (plain / "__MACOSX").mkdir()
    for name in ("fields.csv", "images.csv"):
        (plain / name).rename(plain / "__MACOSX" / name)
    site = SITE.replace("file: images.csv", "file: __MACOSX/images.csv").replace(
        "file: fields", "file: __MACOSX/fields"
    )

    assert run(source=plain, site=site).usable == 4
