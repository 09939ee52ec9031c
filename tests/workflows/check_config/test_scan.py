import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medmd.workflows.check_config._scan import Scanned, scan_file, scan_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


def scan(text, name="x.json"):
    scanned = Scanned(name)
    scan_text(scanned, text)
    return scanned


def lines(scanned):
    return {"#".join(path): (place.line, place.column) for path, place in scanned.places.items()}


TEXT = """{
  "a": 1, "b": [10,
    {"c": "x\\"}"}],

\t"d":\t{"e": null}
}"""


def test_every_entry_has_its_line_and_column():
    assert lines(scan(TEXT)) == {
        "a": (2, 3), "b": (2, 11), "b#0": (2, 17), "b#1": (3, 5), "b#1#c": (3, 6), "d": (5, 2), "d#e": (5, 8),
    }  # fmt: skip
    assert scan(TEXT).content == json.loads(TEXT)


def test_yaml_has_lines_too():
    scanned = scan("a: 1\nb:\n  - 10\n  - c: x\nd: {e: null}\nf: &k {g: 1}\nh:\n  <<: *k\n  i: 2\n", "x.yaml")
    assert scanned.content["h"] == {"g": 1, "i": 2}
    assert lines(scanned)["b#1#c"] == (4, 5)
    assert lines(scanned)["d#e"] == (5, 5)
    assert lines(scanned)["h#i"] == (9, 3)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_any_json_is_read_as_json_reads_it(content, indent):
    text = json.dumps(content, indent=indent)
    scanned = scan(text)
    assert repr(scanned.content) == repr(json.loads(text))
    assert scanned.findings == []

    def count(value):
        children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return len(children) + sum(count(child) for child in children)

    assert len(scanned.places) == count(content)


@given(st.text())
def test_no_text_is_too_strange(text):
    for name in ("x.json", "x.yml"):
        scanned = scan(text, name)
        assert (scanned.content is None) == any(finding.kind == "syntax" for finding in scanned.findings)


@pytest.mark.parametrize(
    ("text", "line", "column", "hint"),
    [
        ('{\n "a": 1,\n}', None, None, "remove the comma before the closing bracket"),
        ('{\n "a": 1\n "b": 2\n}', 3, 2, "a comma is missing before this"),
        ("{\n 'a': 1}", 2, 2, "write texts and keys between double quotes"),
        ('{"a": True}', 1, 7, "JSON spells True as true"),
        ('{"a": None}', 1, 7, "JSON spells None as null"),
        ('{\n "a": 1, // why\n "b": 2}', 2, 10, "JSON has no comments"),
        ('{"a": , "b": 2}', 1, 7, "a value is missing"),
        ('\ufeff{"a": 1}', 1, 1, "without a byte order mark"),
        ('{"a": ', None, None, ""),
        ("", 1, 1, ""),
    ],
)
def test_an_error_of_syntax_has_its_line_and_a_hint(text, line, column, hint):
    scanned = scan(text)
    (finding,) = scanned.findings
    assert scanned.content is None
    assert (finding.level, finding.kind) == ("error", "syntax")
    assert hint in finding.fix
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    assert (finding.place.line, finding.place.column) == (caught.value.lineno, caught.value.colno)
    if line is not None:
        assert (finding.place.line, finding.place.column) == (line, column)


def test_a_long_line_is_cut_around_the_error():
    text = '{"a": "' + "x" * 500 + '", "b": 1 "c": 2}'
    (finding,) = scan(text).findings
    assert '"b": 1 "c"' in finding.got
    assert len(finding.got) < 110


def test_an_error_of_yaml_has_its_line():
    (finding,) = scan("a: 1\nb: [1, 2\nc: 3\n", "x.yaml").findings
    with pytest.raises(yaml.YAMLError) as caught:
        yaml.safe_load("a: 1\nb: [1, 2\nc: 3\n")
    assert finding.place.line == caught.value.problem_mark.line + 1
    assert "YAML syntax" in finding.what


def test_a_key_that_stands_twice_is_found_and_the_last_one_counts():
    scanned = scan('{\n "a": {"x": 1},\n "b": 1,\n "a": {"y": 2}\n}')
    (finding,) = scanned.findings
    assert (finding.kind, finding.path, finding.place.line) == ("duplicate-key", ("a",), 4)
    assert "first in line 2" in finding.what
    assert scanned.content == {"a": {"y": 2}, "b": 1}
    assert lines(scanned) == {"a": (4, 2), "b": (3, 2), "a#y": (4, 8)}
    assert [f.kind for f in scan("a: 1\na: 2\n", "x.yaml").findings] == ["duplicate-key"]


@pytest.mark.parametrize("text", ["[1]", "3", '"x"', "null"])
def test_only_an_object_is_a_configuration(text):
    for name in ("x.json", "x.yaml"):
        (finding,) = scan(text, name).findings
        assert "a set of named settings" in finding.what


def test_numbers_are_no_names_of_settings():
    assert "a set of named settings" in scan("1: 2\n", "x.yaml").findings[0].what


def test_what_is_too_deep_or_too_large_is_refused():
    for text in ('{"a": ' * 200 + "1" + "}" * 200, '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"):
        assert "nested deeper" in scan(text).findings[0].what
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
    assert "nested deeper" in scan(bomb, "x.yaml").findings[0].what
    assert "nested deeper" in scan("a: &a [*a]", "x.yaml").findings[0].what
    assert "digits" in scan('{"a": ' + "1" * 5000 + "}").findings[0].what


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path):
    assert "cannot be read" in scan_file(str(tmp_path / "none.json")).findings[0].what
    assert "cannot be read" in scan_file(str(tmp_path.with_suffix(".json"))).findings[0].what
    assert "no configuration" in scan_file(str(tmp_path / "x.txt")).findings[0].what
    (tmp_path / "latin.json").write_bytes('{"a": "é"}'.encode("latin-1"))
    assert "not UTF-8" in scan_file(str(tmp_path / "latin.json")).findings[0].what
    (tmp_path / "good.json").write_text('{"a": 1}')
    assert scan_file(str(tmp_path / "good.json")).content == {"a": 1}
