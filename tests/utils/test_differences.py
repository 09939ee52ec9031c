import pytest

from medmd.utils import differences


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a (1 -> 2)"]),
        ({"a": {"b": {"c": True}}}, {"a": {"b": {"c": 1}}}, ["a#b#c (true -> 1)"]),
        ({"a": 1}, {"b": 1}, ["a (1 -> null)", "b (null -> 1)"]),
        ({"a": [1, {"b": 2}, 3]}, {"a": [1, {"b": 5}, 3]}, ["a#1#b (2 -> 5)"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a ([1, 2] -> [1])"]),
        ({"a": {"b": 1}}, {"a": 1}, ['a ({"b": 1} -> 1)']),
    ],
)
def test_each_difference_has_its_place(old, new, expected):
    assert differences(old, new) == expected


def test_a_long_value_is_cut():
    (line,) = differences({"a": "x" * 100}, {"a": 0})
    assert len(line) < 75
    assert "..." in line
