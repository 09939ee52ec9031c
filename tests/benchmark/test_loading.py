"""Cheap batches are the batches of the data loader."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader
from monai.transforms import Compose, RandScaleIntensityd, RandShiftIntensityd

from medmd.benchmark._job import Job
from medmd.benchmark._loading import Memory, Remembered, Reseeded, Stacked, StackedLoader, in_batches
from medmd.benchmark._plan import DatasetPlan, MethodPlan
from medmd.benchmark._train import _loader
from medmd.data import CaseDataset, SeededSampler
from medmd.transforms import PackInputsd

PACK = PackInputsd(keys=["a", "b"], shapes={"a": [3], "b": [2]})
RANDOM = [
    RandShiftIntensityd(keys="a", offsets=1.0, prob=1.0, allow_missing_keys=True),
    RandScaleIntensityd(keys="a", factors=0.5, prob=0.5, allow_missing_keys=True),
]


def cases(count=11):
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "case_id": f"c{i}",
            "a": torch.rand(3, generator=generator),
            "target": float(i),
            **({"b": [i, 1.0]} if i % 3 else {}),
        }
        for i in range(count)
    ]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(value, second[name], rtol=0, atol=0)
        else:
            assert list(value) == list(second[name])


@pytest.mark.parametrize("views", [1, 2])
def test_stacked_cases_come_as_from_the_loader(views):
    dataset = CaseDataset(cases(), Compose([PACK]), seed=5, progress=False)
    sampler = SeededSampler(11, seed=5, stage="train", views=views)
    stacked = StackedLoader(stacked=Stacked([dataset[i] for i in range(11)]), sampler=sampler, batch_size=4)
    loader = DataLoader(dataset, sampler=sampler, batch_size=4, drop_last=True)
    for epoch in (1, 2):
        sampler.set_epoch(epoch)
        for ours, theirs in zip(stacked, loader, strict=True):
            assert_same(ours, theirs)
    assert len(stacked) == len(loader)


def test_seeding_in_place_gives_the_same_draws():
    plain = CaseDataset(cases(), Compose([*RANDOM, PACK]), seed=3, progress=False)
    quick = CaseDataset(cases(), Reseeded([*RANDOM, PACK]), seed=3, progress=False)
    for key in [("train", 1, 0), ("train", 2, 0), ("pretrain", 1, 4), ("train", 1, 0)]:
        assert_same(plain[key], quick[key])
    assert not torch.equal(plain["train", 1, 0]["a"], plain["train", 2, 0]["a"])


class Counted:
    """A loader that counts how often it is asked."""

    def __init__(self):
        self.sampler = SeededSampler(4, seed=0, stage="train")
        self.batch_size, self.asked = 2, 0

    def __len__(self):
        return 2

    def __iter__(self):
        self.asked += 1
        return iter([{"x": torch.full((2, 8), float(self.sampler.epoch))} for _ in range(2)])


def test_batches_are_made_once_for_all_methods_of_a_seed():
    memory, loader = Memory(10**6), Counted()
    for _ in range(3):
        for epoch in (1, 2):
            loader.sampler.set_epoch(epoch)
            remembered = Remembered(loader=loader, memory=memory, key=("d", 0, "train"))
            assert [float(batch["x"][0, 0]) for batch in remembered] == [epoch, epoch]
    assert loader.asked == 2
    list(Remembered(loader=loader, memory=memory, key=("d", 0, "pretrain")))
    assert loader.asked == 3


def test_memory_has_a_limit_and_forgets_other_seeds():
    loader = Counted()
    full = Memory(100)
    for _ in range(2):
        list(Remembered(loader=loader, memory=full, key=("d", 0, "train")))
    assert (loader.asked, full.used) == (2, 0)
    memory = Memory(10**6)
    list(Remembered(loader=loader, memory=memory, key=("d", 0, "train")))
    used = memory.used
    list(Remembered(loader=loader, memory=memory, key=("d", 1, "train")))
    assert memory.used == used == 2 * 2 * 8 * 4


def test_prediction_takes_few_batches_of_bounded_size():
    items = [PACK(item) for item in cases()]
    assert len(in_batches(items)) == 1
    small = in_batches(items, numbers=20)
    assert sum(len(batch["target"]) for batch in small) == 11
    assert max(len(batch["target"]) for batch in small) <= 3


@pytest.mark.parametrize("changes", [{"folds": 4}, {"complete": True}])
def test_other_partitions_of_one_datalist_share_no_batches(changes):
    """Fold 0 of three folds and of four have the same number, and may have as many batches."""
    dataset = DatasetPlan(name="d", epochs=1, folds=3)
    parser = ConfigParser({"train": {"dataloader": {}}})
    keys = {
        _loader(parser, SimpleNamespace(training=None), job, "transforms", "train")["key"]
        for job in (
            Job(work=Path("w"), dataset=each, method=MethodPlan(name="m"), datalist=Path("d.json"), fold=0, seed=0)
            for each in (dataset, replace(dataset, **changes))
        )
    }
    assert len(keys) == 2
