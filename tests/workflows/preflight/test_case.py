import numpy as np
import pytest
import torch
from monai.transforms import Compose, Lambdad

from medmd.data import CaseDataset, load_datalist, load_items
from medmd.transforms import LoadPhotographd, LoadVolumed, PackInputsd, RandNoised
from medmd.utils import MedmdError
from medmd.workflows.preflight._case import _memory, flat_item, prepare_case

SHAPES = {"oct": (1, 8, 10, 6), "fundus": (3, 12, 14)}
LOAD = [LoadVolumed("oct", allow_missing_keys=True), LoadPhotographd("fundus", allow_missing_keys=True)]
PACK = PackInputsd(["oct", "fundus"], SHAPES)


@pytest.fixture
def path(make_datalist):
    return make_datalist(missing={1: "fundus"})


def cost(item, plain=(*LOAD, PACK)):
    random = Compose([*LOAD, RandNoised("oct", std=0.1), PACK])
    return prepare_case(item, transform=Compose(plain), augmented=random, inputs=("oct", "fundus"))


def test_the_flat_item_is_that_of_load_items(path):
    datalist = load_datalist(path)
    for split, cases in datalist.splits.items():
        assert [flat_item(datalist, case) for case in cases] == load_items(path, split)


def test_the_bytes_are_those_of_the_tensors(path):
    found = cost(load_items(path, "training")[0])
    images = 4 * (8 * 10 * 6 + 3 * 12 * 14)
    assert found.shapes == SHAPES
    assert found.packed == images + 2 + 4
    for cached in (found.training, found.validation):
        assert images <= cached <= images + 17 * 1024


def test_a_whole_cache_takes_what_one_case_announces(path):
    items = load_items(path, "training")
    found = cost(items[0])
    dataset = CaseDataset(items, Compose([*LOAD, PACK]), seed=0, progress=False)
    held = sum(
        value.untyped_storage().nbytes()
        for item in dataset._cache
        for value in item.values()
        if hasattr(value, "dtype")
    )
    assert held <= len(items) * found.validation <= held + len(items) * 17 * 1024


def test_a_view_counts_with_what_it_keeps_alive(path):
    big = torch.zeros(1000, 100)
    steps = Compose([Lambdad("oct", lambda _: big[0])])
    found = prepare_case(load_items(path, "training")[0], transform=steps, augmented=steps, inputs=("oct",))
    assert found.training >= big.nbytes
    assert found.shapes == {"oct": (100,)}
    array = np.zeros((500, 100))
    assert _memory(array[3][:5]) == array.nbytes
    assert _memory("a word") == 0


def test_a_case_that_cannot_be_prepared_is_named(path):
    wrong = PackInputsd(["oct", "fundus"], {**SHAPES, "oct": (1, 2, 2, 2)})
    with pytest.raises(MedmdError, match=r"c000.*expected \(1, 2, 2, 2\)"):
        cost(load_items(path, "training")[0], plain=(*LOAD, wrong))
