"""Cheap batches are the batches of the data loader."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader
from monai.transforms import Compose, RandScaleIntensityd, RandShiftIntensityd

from medmd.benchmark._compose import preprocessing_key
from medmd.benchmark._job import Job
from medmd.benchmark._loading import Memory, Remembered, Reseeded, Stacked, StackedLoader, in_batches
from medmd.benchmark._plan import DatasetPlan, Limits, MethodPlan
from medmd.benchmark._train import _loader, _memory
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


def take(loader, memory, *, seed=0, key=("train",)):
    return list(Remembered(loader=loader, memory=memory, whose=("d", seed), key=key))


def test_batches_are_made_once_for_all_methods_of_a_seed():
    memory, loader = Memory(10**6), Counted()
    for _ in range(3):
        for epoch in (1, 2):
            loader.sampler.set_epoch(epoch)
            assert [float(batch["x"][0, 0]) for batch in take(loader, memory)] == [epoch, epoch]
    assert loader.asked == 2
    take(loader, memory, key=("pretrain",))
    assert loader.asked == 3


def test_methods_with_two_stages_share_the_batches_of_both():
    memory, loader = Memory(10**6), Counted()
    for _ in range(3):
        for stage in ("pretrain", "train"):
            take(loader, memory, key=(stage,))
    assert loader.asked == 2


def test_an_epoch_is_kept_though_nobody_asks_for_what_comes_after_its_last_batch():
    memory, loader = Memory(10**6), Counted()
    for _ in range(2):
        found = iter(Remembered(loader=loader, memory=memory, whose=("d", 0), key=("train",)))
        assert len([next(found) for _ in range(2)]) == 2
    assert loader.asked == 1


def test_memory_has_a_limit_and_forgets_other_seeds():
    loader = Counted()
    full = Memory(100)
    for _ in range(2):
        take(loader, full)
    assert (loader.asked, full.used) == (2, 0)
    memory = Memory(10**6)
    take(loader, memory)
    used = memory.used
    take(loader, memory, seed=1)
    assert memory.used == used == 2 * 2 * 8 * 4


def test_the_limit_is_that_of_both_stages_together():
    memory, loader = Memory(2 * 2 * 8 * 4), Counted()
    for _ in range(2):
        for stage in ("pretrain", "train"):
            take(loader, memory, key=(stage,))
    assert loader.asked == 3
    assert memory.used == memory.limit


def test_the_limit_is_the_one_of_the_benchmark_that_is_served():
    jobs = [replace(a_job(), limits=Limits(remember_mib=size)) for size in (1, 1, 2)]
    memories = [_memory(job) for job in jobs]

    assert [memory.limit for memory in memories] == [1 << 20, 1 << 20, 2 << 20]
    assert memories[0] is memories[1]


def test_prediction_takes_few_batches_of_bounded_size():
    items = [PACK(item) for item in cases()]
    assert len(in_batches(items)) == 1
    small = in_batches(items, numbers=20)
    assert sum(len(batch["target"]) for batch in small) == 11
    assert max(len(batch["target"]) for batch in small) <= 3


def a_job(**changes):
    dataset = DatasetPlan(name="d", epochs=1, **{"folds": 3, **changes})
    return Job(work=Path("w"), dataset=dataset, method=MethodPlan(name="m"), datalist=Path("d.json"), fold=0, seed=0)


def described(job, **changes):
    """What the loader of a stage is told to share its batches by."""
    config = ConfigParser(
        {
            "batch_size": 8,
            "order": True,
            "train": {
                "sampler": {"_target_": "medmd.data.SeededSampler", "shuffle": "@order"},
                "dataloader": {"dataset": "@train#dataset", "batch_size": "@batch_size"},
                "dataset": object(),
            },
        }
    )
    for name, value in changes.items():
        config[name] = value
    found = _loader(config, SimpleNamespace(training=None), job, "transforms", "train")
    return found["whose"], found["key"]


@pytest.mark.parametrize("changes", [{"folds": 4}, {"complete": True}])
def test_other_partitions_of_one_datalist_share_no_batches(changes):
    """Fold 0 of three folds and of four have the same number, and may have as many batches."""
    assert described(a_job()) == described(a_job())
    assert described(a_job()) != described(a_job(**changes))


@pytest.mark.parametrize("changes", [{"train#sampler#shuffle": False}, {"order": False}, {"batch_size": 4}])
def test_methods_with_another_order_or_other_batches_share_none(changes):
    plain, other = described(a_job()), described(a_job(), **changes)

    assert plain[0] == other[0]
    assert plain[1] != other[1]


def test_methods_whose_transforms_refer_to_other_settings_share_no_cases():
    def key(prob=0.2, **changes):
        config = ConfigParser(
            {
                "modalities": ["a"],
                "preprocessing": [],
                "augmentation": [],
                "train": {
                    "left_out": {"_target_": "medmd.transforms.RandModalityDropoutd", "prob": prob},
                    "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing + [@train#left_out]"},
                },
                "validate": {"preprocessing": {"_target_": "Compose", "transforms": "@preprocessing"}},
            }
        )
        for name, value in changes.items():
            config[name] = value
        return preprocessing_key(config)

    assert key() == key()
    assert len({key(), key(prob=0.5), key(**{"validate#preprocessing#transforms": []})}) == 3
