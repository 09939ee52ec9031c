import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.workflows import scrub
from medmd.workflows._scrub import scrub_header

CONFIG = json.loads((Path(__file__).parents[2] / "bundles" / "remd" / "train.json").read_text())
NAMES = st.text("abcdefgh_-", min_size=1, max_size=8).map(lambda text: f"canary{text}")


@pytest.mark.parametrize(
    "value",
    [
        "/home/canary/x",
        "/home/my folder/canary",
        "~/canary",
        "~canary/x",
        "C:\\Users\\canary",
        "\\\\server\\canary",
        "file:///canary",
        "sqlite:////data/canary.db",
        "https://canary:password@host/path",
        "weights/canary.pt",
        "$open('/home/my folder/canary')",
        '$len("~/canary dir/x")',
        "$print(/canary)",
        "weights are in /home/canary today",
        "@x + '/canary'",
    ],
)
def test_a_path_is_taken_out(value):
    assert "canary" not in json.dumps(scrub({"setting": [value]}))
    assert "<path>" in json.dumps(scrub({"setting": [value]}))


@pytest.mark.parametrize("name", ["output_dir", "dataset_dir", "phantom_dir", "model_dir", "bundle_root", "path"])
def test_a_place_is_taken_out_also_when_it_is_relative(name):
    assert scrub({name: "canary"}) == {name: "<path>"}
    assert scrub({"deeper": {name: "canary"}}) == {"deeper": {name: "<path>"}}
    assert scrub({name: "@datalist"}) == {name: "@datalist"}
    assert scrub({name: None}) == {name: None}


@given(st.lists(NAMES, min_size=1, max_size=4), st.sampled_from(["/", "~/", "C:\\", "file:///", "\\\\"]))
def test_no_part_of_an_absolute_path_remains(parts, beginning):
    separator = "\\" if "\\" in beginning else "/"
    assert scrub(beginning + separator.join(parts)) == "<path>"
    assert "canary" not in scrub(f"$load('{beginning}{separator.join(parts)}', 3 / 4)")


def test_the_bundle_keeps_all_but_its_places():
    found = scrub(CONFIG)
    changed = {name for name in CONFIG if found[name] != CONFIG[name]}
    assert changed == {"bundle_root", "output_dir", "phantom_dir"}


def test_the_given_data_is_not_changed():
    given_data = {"output_dir": "canary", "list": ["/canary", 1, None, True, 0.5]}
    found = scrub(given_data)
    assert given_data == {"output_dir": "canary", "list": ["/canary", 1, None, True, 0.5]}
    assert found["list"] == ["<path>", 1, None, True, 0.5]


def test_a_header_keeps_its_form_and_loses_its_free_texts():
    header = {
        "name": "clinic",
        "description": "eyes of mueller-hans",
        "version": "1",
        "inputs": {"oct": {"kind": "volume", "axes": "of mueller-hans", "shape": [1, 2, 3]}},
        "target": {"name": "md", "kind": "number", "unit": "dB", "range": [-40.0, 6.0], "device": "weber"},
        "source": "weber's export",
        "converter": "hospital",
        "created_with": "medmd 1",
        "counts": {"cases": 3, "splits": {"training": 3}, "weber": 1},
        "reference": {"who": "weber"},
        "clinic": "weber",
    }
    assert scrub_header(header) == {
        "name": "clinic",
        "version": "1",
        "converter": "hospital",
        "created_with": "medmd 1",
        "inputs": {"oct": {"kind": "volume"}},
        "target": {"name": "md", "kind": "number", "unit": "dB", "range": [-40.0, 6.0]},
        "counts": {"cases": 3, "splits": {"training": 3}},
    }
    assert scrub_header({}) == {"inputs": {}, "target": {}, "counts": {}}


def test_a_relative_path_with_spaces_is_taken_out_and_a_remark_kept():
    assert scrub({"site": "Jane Doe/eyes/x", "_data_": "a folder and/or null"}) == {
        "site": "<path>",
        "_data_": "a folder and/or null",
    }
