import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from medmd.workflows.check_config._merge import merge

BASE = {"a": 1, "b": {"c": [1, 2, {"d": 3}], "e": "x"}, "f": [{"g": 1}]}


def write(folder, *contents):
    paths = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(content, indent=1))
        paths.append(str(path))
    return paths


def own(config):
    return {name: value for name, value in config.items() if name != "_meta_"}


OVERLAYS = [
    {"a": 2},
    {"b#c#2#d": 4, "b::e": "y"},
    {"b": {"c": []}},
    {"+b": {"h": 1, "e": "z"}, "+f": [{"g": 2}, {"g": 3}]},
    {"f#0": {"g": 9}, "new": [1]},
    {"+new2": {"x": 1}},
]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(OVERLAYS), max_size=4))
def test_the_result_is_monais(tmp_path_factory, overlays):
    files = write(tmp_path_factory.mktemp("merge"), BASE, *overlays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = ConfigParser.load_config_files(files)
        except (LookupError, ValueError):
            assert any(finding.kind == "unknown-key" for finding in merge(files, {}).findings)
            return
    merged = merge(files, {})
    assert own(merged.config) == expected
    assert not [finding for finding in merged.findings if finding.level == "error"]


def test_every_entry_knows_its_file_and_line(tmp_path):
    files = write(tmp_path, BASE, {"b#c#1": 5, "+f": [{"g": 2}], "a": {"z": 1}})
    merged = merge(files, {"b::e": "w", "k": 1})

    def where(*path):
        place = merged.place(path)
        return place.file.rsplit("/", 1)[-1], place.line

    assert where("b", "c", "0") == ("0.json", 5)
    assert where("b", "c", "1") == ("1.json", 2)
    assert where("f", "0", "g") == ("0.json", 15)
    assert where("f", "1", "g") == ("1.json", 5)
    assert where("a", "z") == ("1.json", 9)
    assert where("b", "e") == ("command line", None)
    assert merged.is_override(("k",))
    assert not merged.is_override(("a",))
    assert merged.place(("nowhere",)) is None
    assert merged.base["a"] == 1


def test_joined_dictionaries_keep_the_places_of_the_rest(tmp_path):
    merged = merge(write(tmp_path, BASE, {"+b": {"e": 2}}), {})
    assert merged.place(("b", "c", "0")).file.endswith("0.json")
    assert merged.place(("b", "e")).file.endswith("1.json")


@pytest.mark.parametrize(
    ("overlay", "what", "fix"),
    [
        ({"bb#c": 1}, "the configuration has no key 'bb'", ""),
        ({"b#cc#0": 1}, "b has no key 'cc'", "did you mean b#c?"),
        ({"b#c#7#d": 1}, "b#c is a list of 3, without an entry '7'", ""),
        ({"b#c#d#e": 1}, "b#c is a list of 3, without an entry 'd'", ""),
        ({"a#x#y": 1}, "a is 1, which has no entries for MONAI", ""),
        ({"f#3": 1}, "cannot be set", ""),
        ({"f#x": 1}, "cannot be set", ""),
        ({"+a": 1}, "cannot be set", ""),
    ],
)
def test_what_cannot_be_laid_over_is_told_and_the_rest_is_merged(tmp_path, overlay, what, fix):
    merged = merge(write(tmp_path, BASE, {**overlay, "ok": 1}), {})
    (finding,) = merged.findings
    assert finding.kind == "unknown-key"
    assert what in finding.what
    assert fix in finding.fix
    assert finding.place.line == 2
    assert merged.config["ok"] == 1


def test_what_monai_does_with_overrides_in_silence_is_told(tmp_path):
    merged = merge(write(tmp_path, BASE, {"+q": [1]}), {"a": None, "run_id": "go", "+f": [5], "b#c#0": 7})
    assert [finding.kind for finding in merged.findings] == ["merge", "dropped-override"]
    assert merged.config["a"] == 1
    assert merged.config["f"] == [5]
    assert merged.config["b"]["c"][0] == 7
    assert merged.run_id("run") == "go"
    assert merged.run_id("initialize") == "initialize"
    assert "run_id" not in merged.config


def test_the_metadata_is_part_of_the_configuration(tmp_path):
    files = write(tmp_path, BASE)
    assert merge(files, {}).config["_meta_"] == {}
    (tmp_path / "metadata.json").write_text('{"version": "1"}')
    assert merge(files, {}).config["_meta_"] == {"version": "1"}
    (tmp_path / "other.json").write_text('{"version": "2"}')
    assert merge(files, {"meta_file": str(tmp_path / "other.json")}).config["_meta_"] == {"version": "2"}
    assert merge(files, {"meta_file": str(tmp_path / "gone.json")}).findings[0].kind == "syntax"


def test_monais_own_tracking_adds_settings(tmp_path):
    assert "tracking_uri" in merge(write(tmp_path, BASE), {"tracking": "mlflow"}).patched
    assert merge(write(tmp_path, BASE), {}).patched == frozenset()


def test_a_file_that_cannot_be_read_leaves_it_incomplete(tmp_path):
    assert not merge([*write(tmp_path, BASE), str(tmp_path / "gone.json")], {}).complete
    assert merge([], {}).config == {"_meta_": {}}
