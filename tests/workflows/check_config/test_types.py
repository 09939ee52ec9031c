import collections.abc
import inspect
import typing
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medmd.workflows.check_config._types import UNKNOWN, fits, is_plain, name_of

T = typing.TypeVar("T")


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        (int, [1, -3], [1.5, "1", True, None, [1], {}]),
        (float, [1, 1.5], ["1", True, None, [1.0]]),
        (bool, [True, False], [1, 0, "true", None]),
        (str, ["", "x"], [1, True, None, ["x"]]),
        (None, [None], [0, ""]),
        (int | None, [1, None], ["1", 1.5]),
        (float | None, [1, None], ["x"]),
        (int | str, [1, "x"], [1.5, None]),
        (Literal["a", 1], ["a", 1], ["b", 2, True]),
        (list[int], [[], [1, 2]], [["x"], 1, "12", {}]),
        (list, [[], ["x"]], ["x", 1]),
        (tuple[float, float], [[1, 2.5]], [["x", 1], 1]),
        (tuple[int, ...], [[], [1, 2]], [[1.5]]),
        (collections.abc.Sequence[int], [[1]], [["x"], 1, None]),
        (collections.abc.Sequence[str] | str, ["x", ["x"]], [1]),
        (dict[str, float], [{"a": 1}, {}], [{"a": "x"}, [1], 1]),
        (collections.abc.Mapping[str, int] | None, [None, {"a": 1}], [{"a": 1.5}, 3]),
        (dict, [{}], [[]]),
        (collections.abc.Callable, [], [1, "x"]),
        (collections.abc.Hashable, [1, "x", None], []),
    ],
)
def test_what_fits_and_what_does_not(annotation, right, wrong):
    assert [value for value in right if fits(value, annotation) is False] == []
    assert [value for value in wrong if fits(value, annotation) is not False] == []


@pytest.mark.parametrize(
    "annotation",
    [Any, T, torch.Tensor, np.ndarray, torch.nn.Module, object, inspect.Parameter.empty, "text", int | torch.Tensor,
     collections.abc.Iterable, torch.dtype | None],
)  # fmt: skip
def test_what_cannot_be_judged_is_not_judged(annotation):
    assert fits("x", annotation) is not False
    assert fits(UNKNOWN, annotation) is None


def test_parts_that_are_known_only_later_are_not_judged():
    assert fits([1, UNKNOWN], list[int]) is None
    assert fits(["x", UNKNOWN], list[int]) is False
    assert fits([1, 2, 3], tuple[int, int]) is None
    assert fits({"a": [1]}, collections.abc.Iterable) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
ANNOTATIONS = st.recursive(
    st.sampled_from([int, float, bool, str, type(None), Any, torch.Tensor, Literal["a", 1], dict]),
    lambda inner: st.builds(lambda a, b: a | b, inner, inner) | st.builds(lambda a: list[a], inner),
)


@given(VALUES, ANNOTATIONS)
def test_a_union_is_no_stricter_than_its_members(value, annotation):
    judged = fits(value, annotation)
    assert judged in (True, False, None)
    assert fits(value, annotation | torch.Tensor) is not False
    if judged is True:
        assert fits(value, annotation | str) is True
    assert isinstance(name_of(annotation), str)


def test_annotations_are_named_in_short():
    assert name_of(int | None) == "int or null"
    assert name_of(Literal["a", 2]) == "'a' or 2"
    assert name_of(tuple[str, ...]) == "tuple of str"
    assert is_plain([1])
    assert not is_plain(torch.device("cpu"))
