import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.utils import MedmdError, read_json, write_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=values)
def test_what_is_written_is_read_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("d") / "v.json"
    write_json(path, value)

    assert read_json(path) == value
    assert json.loads(path.read_text(encoding="utf-8")) == value


def test_the_layout_is_indented_in_the_given_order_and_ends_with_a_line(tmp_path):
    write_json(tmp_path / "v.json", {"b": "µ", "a": [1]})

    assert (tmp_path / "v.json").read_text(encoding="utf-8") == '{\n  "b": "µ",\n  "a": [\n    1\n  ]\n}\n'


def test_nan_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "v.json", float("nan"))

    assert not (tmp_path / "v.json").exists()


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(MedmdError, match=r"v\.json: no such file"):
        read_json(tmp_path / "v.json")


@pytest.mark.parametrize(("data", "text"), [(b'{"a":\n 1,}', r"line 2, column \d"), (b"\xff\xfe\xff", "not UTF-8")])
def test_what_is_no_json_is_told_with_its_place(tmp_path, data, text):
    (tmp_path / "v.json").write_bytes(data)

    with pytest.raises(MedmdError, match=text):
        read_json(tmp_path / "v.json")
