import inspect

import monai.data
import monai.networks.nets
import monai.transforms
import pytest
import torch

from medmd.balancing import SGM
from medmd.engines import ContrastiveTrainer, FusionTrainer, RegressionEvaluator
from medmd.workflows.check_config._arguments import annotation_of, arguments_of


class Base:
    def __init__(self, first, second: int = 1):
        self.parts = first, second


class HandsOn(Base):
    def __init__(self, own: str, **kwargs):
        kwargs.setdefault("second", 2)
        super().__init__(own, **kwargs)


class TakesOut(Base):
    def __init__(self, **kwargs):
        kwargs.pop("hidden", None)
        super().__init__(**kwargs)


class UsesTwice(Base):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.more = dict(**kwargs)


class HandsAllOn(Base):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Silent(HandsOn):
    pass


def calls_class(own: int, **more):
    return Base(own, **more)


def calls_method(**more):
    return inspect.signature(**more)


def positional(x, /, y):
    return x, y


@pytest.mark.parametrize(
    ("target", "names", "required", "is_open"),
    [
        (Base, {"first", "second"}, {"first"}, False),
        (HandsOn, {"own", "second"}, {"own"}, False),
        (Silent, {"own", "second"}, {"own"}, False),
        (TakesOut, set(), set(), True),
        (UsesTwice, set(), set(), True),
        (HandsAllOn, set(), set(), True),
        (calls_class, {"own", "second"}, {"own"}, False),
        (calls_method, set(), set(), True),
        (positional, {"y"}, {"y"}, False),
    ],
)
def test_arguments_are_followed_only_where_they_cannot_go_astray(target, names, required, is_open):
    found = arguments_of(target)
    assert (set(found.names), found.required, found.open) == (names, required, is_open)


@pytest.mark.parametrize(
    "target",
    [FusionTrainer, ContrastiveTrainer, RegressionEvaluator, monai.data.DataLoader, monai.networks.nets.DenseNet121],
)
def test_what_the_bundle_hands_on_is_known(target):
    found = arguments_of(target)
    assert not found.open
    parents = [base for base in target.__mro__[1:] if "__init__" in vars(base) and base is not object]
    above = set(inspect.signature(parents[0]).parameters) - {"args", "kwargs"}
    # What the class passes itself must not be given again.
    assert len(above - set(found.names)) <= 6
    assert "self" not in found.names


def test_what_is_built_in_is_not_known():
    assert arguments_of(torch.device) is None
    assert arguments_of(3) is None
    assert arguments_of([]) is None
    assert arguments_of(torch.optim.AdamW).required == {"params"}


def test_an_annotation_is_read_where_it_is_written():
    names = arguments_of(SGM).names
    assert annotation_of(*names["steps"]) is int
    assert annotation_of(*names["ratio_cap"]) == float | None
    assert annotation_of("NotKnownAnywhere | int", {}) is inspect.Parameter.empty
    assert annotation_of(int, {}) is int
