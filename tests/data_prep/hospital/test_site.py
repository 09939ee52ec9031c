from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from data_prep.hospital._site import SiteConfig, load_site, settings_table
from data_prep.hospital._site_sections import SECTIONS
from medmd.utils import MedmdError

TABLE = """
tables:
  - file: t/*.csv
    kind: visual_fields
    columns: {patient: ID, laterality: Eye, date: Day, md: MD}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, **options):
        path = tmp_path / "site.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_site(path, **options)

    return write_and_load


@pytest.fixture
def complaint(load):
    def of(text, **options):
        with pytest.raises(MedmdError) as caught:
            load(text, **options)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return str(caught.value)

    return of


def test_an_empty_file_gives_the_defaults(load):
    site = load("")
    assert site == SiteConfig() == load("# nothing\n") == load("pairing:\n")
    assert site.pairing.window_days == 180
    assert site.visual_field.patterns == ("24-2", "24-2C")
    assert site.visual_field.max_false_positives == 0.15
    assert site.visual_field.md_range == (-40.0, 6.0)


def test_settings_are_read(load):
    site = load(
        """
        name: clinic
        inputs: {wanted: [oct], required: [oct]}
        pairing: {window_days: 90, per_eye: latest, ties: [quality], one_field_per_scan: false}
        visual_field: {patterns: [24-2, 10-2, unknown], md_range: [-35, 4], strict: true}
        oct: {min_signal: 5, min_signal_of: {zeiss: 6}}
        split: {folds: 5, fold: 0}
        tables:
          - file: "a/**/x.xlsx"
            kind: images
            columns: {file: Bild, patient: Nr, date: Tag}
            constants: {laterality: R}
            values: {sex: {1: M, no: F, 2020-01-01: O}}
        """
    )
    assert site.name == "clinic"
    assert site.inputs.required == ("oct",)
    assert site.pairing.ties == ("quality",)
    assert site.visual_field.patterns == ("24-2", "10-2", "unknown")
    assert site.oct.min_signal_of == {"zeiss": 6.0}
    assert site.tables[0].values == {"sex": {"1": "M", "no": "F", "2020-01-01": "O"}}
    assert site.split.options().folds == 5


def test_the_digest_depends_on_the_meaning_alone(load):
    plain = load("")
    written = load("# a comment\nvisual_field: {strict: false}\npairing: {window_days: 180}\n")
    assert plain.digest == written.digest
    assert plain.digest != load("pairing: {window_days: 181}").digest
    assert len(plain.digest) == 64
    assert plain.as_json()["pairing"]["window_days"] == 180


def test_all_problems_are_told_at_once_with_line_and_nearest_match(complaint):
    text = complaint(
        "nam: x\npairing:\n  window_days: many\n  per_eye: latst\nvisual_field:\n  paterns: [24-2]\n"
        "  md_range: [6, -40]\noct: [1]\nsplit: {folds: 3}\n"
    )
    assert "7 problems; nothing was read" in text
    assert "line 1: `nam`: no such setting; did you mean `name`?" in text
    assert "line 3: `pairing.window_days`: expected a whole number from 0 to 3650, got many" in text
    assert (
        "line 4: `pairing.per_eye`: expected one of `all`, `latest`, `first`, got latst; did you mean `latest`?" in text
    )
    assert "line 6: `visual_field.paterns`: no such setting; did you mean `patterns`?" in text
    assert "line 7: `visual_field.md_range`: expected two numbers in rising order" in text
    assert "line 8: `oct`: expected settings" in text
    assert "line 9: `split`: The split: expected --folds K together with --fold I" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "expected sections"),
        ("name: 3\n", "`name`: expected a text, got 3; put it in quotes"),
        ("zzz: 1\n", "no such setting; known are `name`, `inputs`"),
        ("pairing: {window_days: true}", "got true"),
        ("pairing: {window_days: 4000}", "got 4000"),
        ("pairing: {one_field_per_scan: 1}", "expected `true` or `false`"),
        ("pairing: {ties: [signal, signal]}", "a word stands there twice"),
        ("inputs: {wanted: []}", "not empty"),
        ("inputs: {wanted: [oct], required: [fundus]}", "fundus is required and not wanted"),
        ("visual_field: {max_false_positives: .nan}", "expected a number from 0 to 1"),
        ("visual_field: {md_range: [1, 5]}", "negative for loss"),
        ("visual_field: {md_range: 5}", "two numbers"),
        ("oct: {min_signal_of: {zeis: 6}}", "`zeis` is not known; did you mean `zeiss`?"),
        ("oct: {min_signal_of: {zeiss: good}}", "at `zeiss` stands good, expected a number"),
        ("oct: {min_signal_of: 3}", "a mapping of makers"),
        ("tables: {file: x}", "expected a list"),
        ("tables: [3]", "`tables[0]`: expected settings"),
        ("tables: [{kind: images}]", "`file` is missing"),
        ("tables: [{file: /a.csv, kind: images, columns: {file: a}}]", "a place below SRC"),
        ("tables: [{file: ../a.csv, kind: images, columns: {file: a}}]", "a place below SRC"),
        ("tables: [{file: 'C:\\a.csv', kind: images, columns: {file: a}}]", "a place below SRC"),
        ("tables: [{file: a.csv, kind: images, columns: {file: a}}]", "`patient` is missing, which images need"),
        (TABLE + "    constants: {md: 3}", "`md` is not known"),
        (TABLE + "    constants: {laterality: R}", "stands in `columns` as well"),
        (TABLE + "    constants: {pattern: 24-3}", "got 24-3; did you mean `24-2`?"),
        (TABLE + "    constants: {region: macula}", "visual_fields have no such column"),
        (TABLE + "    values: {laterality: {1: X}}", "expected one of `R`, `L`, got X"),
        (TABLE + "    values: {laterality: {}}", "expected a mapping"),
        (TABLE.replace("md: MD", "md: Day"), "date, md have one header"),
        (TABLE.replace("md: MD", "md: MD, fixation_losses: FL"), "`reliability_unit` is missing"),
        (TABLE.replace("md: MD", "md: 3"), "at `md` stands 3, expected a text; put it in quotes"),
        ("a: 1\na: 2\n", "stands there twice; keep one"),
        ("a: [\n", "no valid YAML near line"),
        ("a: !!python/object:os.system {}\n", "has a tag"),
        ("a: !!python/name:os.system\n", "no valid YAML"),
        ("a: 2020-13-45\n", "does not exist"),
        ("? [a]\n: 1\n", "no such setting"),
        (b"a: \xff\xfe", "not in UTF-8"),
        ("a: " + "[" * 50 + "]" * 50, "nested too deeply"),
        (b"#" * (1 << 20) + b"#", "larger than"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(complaint, text, words):
    assert words in complaint(text)


def test_a_bomb_of_aliases_is_refused(complaint):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "nested too deeply" in complaint("\n".join(lines))


def test_an_absent_file_says_how_to_make_one(tmp_path):
    with pytest.raises(MedmdError, match="--init"):
        load_site(tmp_path / "site.yaml")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "export"
    (folder / "t").mkdir(parents=True)
    return folder


def test_a_table_with_its_columns_is_accepted(load, source):
    (source / "t/a.csv").write_text("ID;eye ;Day;M.D.\n1;R;2020-01-01;-3\n")
    assert load(TABLE, source=source).tables[0].kind == "visual_fields"


def test_a_pattern_that_fits_nothing_is_told(complaint, source):
    (source / "t/a.jpg").write_text("")
    (source / "t/~$a.csv").write_text("")
    assert "`tables[0].file`: no .csv, .tsv, .txt or .xlsx file below SRC fits this pattern" in complaint(
        TABLE, source=source
    )


def test_a_missing_column_is_told_with_the_nearest_header_and_no_cell(complaint, source):
    (source / "t/a.csv").write_text("ID,Eyes,Datum,MD\nSECRET,R,2020-01-01,-3\n")
    text = complaint(TABLE, source=source)
    assert "line 5: `tables[0].columns.laterality`: the table has no column, or several, named `Eye`" in text
    assert "the nearest is `Eyes`" in text
    assert "named `Day`; none of its 4 columns has a similar name" in text
    assert "SECRET" not in text
    assert "a.csv" not in text


def test_a_table_without_headers_shows_nothing_of_itself(complaint, source):
    (source / "t/a.csv").write_text("Ide Smith,Eyes,2020-01-01,-3\n")
    text = complaint(TABLE, source=source)
    assert "row 1 of the table looks like data" in text
    assert "Smith" not in text
    assert "Eyes" not in text


def test_which_of_several_tables_is_meant(complaint, source):
    for name in ("a", "b"):
        (source / f"t/{name}.csv").write_text("ID,Eye,Day,MD\n" if name == "a" else "ID,Eye,Day,XX\n")
    assert "table 2 of the 2 that fit has no column, or several, named `MD`" in complaint(TABLE, source=source)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "no row 1"), (b"a\0b", "no readable text table"), (b"PK", "no readable Excel workbook")],
)
def test_a_table_that_cannot_be_read_is_told(complaint, source, content, words):
    name = "t/a.xlsx" if content == b"PK" else "t/a.csv"
    (source / name).write_bytes(content)
    text = TABLE.replace("t/*.csv", name)
    assert words in complaint(text, source=source)


def test_a_sheet_that_is_not_there_is_told(complaint, load, source):
    book = Workbook()
    book.active.append(["x"])
    book.create_sheet("Fields").append(["ID", "Eye", "Day", "MD"])
    book.save(source / "t/a.xlsx")
    text = TABLE.replace("csv", "xlsx")
    assert "no sheet named `Feld`" in complaint(text + "    sheet: Feld\n", source=source)
    assert load(text + "    sheet: fields\n", source=source).tables[0].sheet == "fields"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 500) | st.floats(-2, 2) | st.sampled_from(["oct", "24-2", "x", "all"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "file", "md"]), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = {key: [each.name for each in fields(section)] for key, section in SECTIONS.items() if key != "tables"}


@given(st.data())
def test_any_file_is_accepted_or_refused_with_words(tmp_path_factory, data):
    import yaml

    key = data.draw(st.sampled_from(sorted(KEYS)))
    raw = {key: data.draw(st.dictionaries(st.sampled_from(KEYS[key]), VALUES, max_size=4) | VALUES)}
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(raw))
    try:
        site = load_site(path)
    except MedmdError as error:
        assert "line" in str(error)  # noqa: PT017 - either way is right
    else:
        assert load_again(site, path) == site.digest


def load_again(site, path):
    import yaml

    path.write_text(yaml.safe_dump({**site.as_json(), "tables": []}))
    return load_site(path).digest


def test_the_reference_page_has_every_setting():
    page = Path(__file__).parents[3] / "docs/reference/site-file.md"
    assert settings_table() in page.read_text()
