import numpy as np
import pytest
import torch
from monai.data import DataLoader
from monai.transforms import Compose, EnsureTyped, Lambdad, LoadImaged, MapTransform, RandFlipd, RandGaussianNoised

from medmd.data import CaseDataset, SeededSampler, load_items
from medmd.utils import MedmdError


def _random() -> list:
    return [
        RandGaussianNoised("oct", prob=0.7, std=9.0),
        RandFlipd("fundus", prob=0.5, spatial_axis=0),
        Compose([RandGaussianNoised("fundus", prob=1.0)]),
        EnsureTyped(["oct", "fundus"], track_meta=False),
    ]


def _transforms() -> Compose:
    return Compose([LoadImaged(["oct", "fundus"], ensure_channel_first=True, image_only=True), *_random()])


def _epoch(dataset: CaseDataset, epoch: int, *, workers: int = 0, skip: int = 0, batch_size: int = 2) -> list[dict]:
    sampler = SeededSampler(len(dataset), seed=3, stage="train")
    sampler.set_epoch(epoch, skip=skip)
    loader = DataLoader(dataset, batch_size=batch_size, sampler=sampler, num_workers=workers)
    return list(loader)


def _equal(first: list[dict], second: list[dict]) -> bool:
    return len(first) == len(second) and all(
        a["case_id"] == b["case_id"] and all(torch.equal(a[key], b[key]) for key in ("oct", "fundus", "target"))
        for a, b in zip(first, second, strict=True)
    )


@pytest.fixture
def items(make_datalist) -> list[dict]:
    return load_items(make_datalist(patients=4), "training")


@pytest.mark.parametrize("cache", [True, False])
def test_batches_do_not_depend_on_the_number_of_workers(items, cache):
    runs = [
        _epoch(CaseDataset(items, _transforms(), seed=1, cache=cache, progress=False), 2, workers=workers, batch_size=1)
        for workers in (0, 1, 2)
    ]

    assert _equal(runs[0], runs[1])
    assert _equal(runs[0], runs[2])


def test_cached_and_uncached_batches_are_equal(items):
    cached = CaseDataset(items, _transforms(), seed=1, progress=False)
    uncached = CaseDataset(items, _transforms(), seed=1, cache=False)

    assert _equal(_epoch(cached, 0), _epoch(uncached, 0))


def test_draws_change_with_epoch_stage_index_and_seed(items):
    dataset = CaseDataset(items, _transforms(), seed=1, progress=False)
    base = dataset["train", 1, 0]["fundus"]

    assert torch.equal(base, dataset["train", 1, 0]["fundus"])
    assert not torch.equal(base, dataset["train", 2, 0]["fundus"])
    assert not torch.equal(base, dataset["pretrain", 1, 0]["fundus"])
    assert not torch.equal(base, CaseDataset(items, _transforms(), seed=2, progress=False)["train", 1, 0]["fundus"])
    twice = CaseDataset([items[0], items[0]], _transforms(), seed=1, progress=False)
    assert not torch.equal(twice["train", 1, 0]["fundus"], twice["train", 1, 1]["fundus"])


def test_a_draw_does_not_depend_on_what_was_drawn_before(items):
    dataset = CaseDataset(items, _transforms(), seed=1, progress=False)
    fresh = CaseDataset(items, _transforms(), seed=1, progress=False)["train", 5, 2]
    for epoch in range(4):
        dataset["train", epoch, 1]

    assert torch.equal(dataset["train", 5, 2]["oct"], fresh["oct"])


def test_a_stopped_epoch_goes_on_where_it_stood(items):
    dataset = CaseDataset(items, _transforms(), seed=1, progress=False)
    whole = _epoch(dataset, 7, batch_size=1)

    assert _equal(whole[2:], _epoch(dataset, 7, skip=2, batch_size=1))


class _Spoil(MapTransform):
    """Changes its input in place, as a careless transform does."""

    def __call__(self, data):
        for key in self.keys:
            data[key] += 1
        return data


def test_the_cache_survives_transforms_and_users_that_write_in_place(items):
    load = LoadImaged(["oct", "fundus"], ensure_channel_first=True, image_only=True)
    with_random = CaseDataset(items, Compose([load, RandFlipd("oct", prob=0.0), _Spoil("oct")]), seed=1, progress=False)
    first = with_random["train", 0, 0]["oct"].clone()
    assert torch.equal(first, with_random["train", 0, 0]["oct"])

    without = CaseDataset(items, Compose([load]), seed=1, progress=False)
    item = without[0]
    before = item["oct"].clone()
    item["oct"] += 5
    assert torch.equal(without[0]["oct"], before)


def test_the_source_items_survive_transforms_that_write_in_place():
    data = [{"case_id": "c1", "oct": [1.0, 2.0]}]

    def append(values):
        values.append(3.0)
        return values

    dataset = CaseDataset(data, Lambdad("oct", append), seed=0, cache=False)

    assert dataset[0]["oct"] == dataset[0]["oct"] == [1.0, 2.0, 3.0]


def test_positions_slices_and_negative_positions(items):
    dataset = CaseDataset(items, _transforms(), seed=1, progress=False)

    assert dataset[-1]["case_id"] == items[-1]["case_id"]
    assert torch.equal(dataset[-1]["oct"], dataset[len(items) - 1]["oct"])
    assert [item["case_id"] for item in dataset[:2]] == [item["case_id"] for item in items[:2]]
    assert len(dataset[[0, 1]]) == 2
    with pytest.raises(IndexError, match=r"below \d+, got 99"):
        dataset[99]


@pytest.mark.parametrize("cache", [True, False])
def test_a_failure_names_the_case_and_no_path(items, cache, tmp_path):
    broken = tmp_path / "Miller_John" / "scan.nii.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"no volume")
    data = [{**items[0], "oct": str(broken)}]

    with pytest.raises(MedmdError, match="Case c000: cannot be loaded") as caught:
        CaseDataset(data, _transforms(), seed=0, cache=cache, progress=False)[0]

    assert "Miller" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert "medmd check" in str(caught.value)


def test_a_failure_in_a_worker_names_the_case(items):
    def fail(_):
        msg = "no such layer"
        raise ValueError(msg)

    dataset = CaseDataset(items, Lambdad("oct", fail), seed=0, cache=False)

    with pytest.raises(MedmdError, match=r"Case c00\d: cannot be loaded. Got ValueError: no such layer"):
        list(DataLoader(dataset, num_workers=1))


def test_filling_the_cache_shows_progress(items, monkeypatch):
    seen = {}

    def record(things, *, total, description, unit="case"):
        seen.update(total=total, description=description)
        return things

    monkeypatch.setattr("medmd.data._dataset.progress", record)
    CaseDataset(items, _transforms(), seed=0, num_workers=2)

    assert seen == {"total": len(items), "description": "Loading cases"}


def test_threads_that_fill_the_cache_keep_the_order(items):
    dataset = CaseDataset(items * 5, _transforms(), seed=0, num_workers=4, progress=False)

    assert [dataset[i]["case_id"] for i in range(len(dataset))] == [item["case_id"] for item in items * 5]


def test_an_empty_dataset_has_no_items():
    dataset = CaseDataset([], _transforms(), seed=0)

    assert len(dataset) == 0
    assert np.size(dataset._cache) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_views_of_a_case_differ_and_do_not_depend_on_the_workers(items, workers):
    dataset = CaseDataset(items, _transforms(), seed=1, progress=False)
    sampler = SeededSampler(len(dataset), seed=3, stage="pretrain", views=2)
    batches = list(DataLoader(dataset, batch_size=2, sampler=sampler, num_workers=workers))

    assert len(batches) == len(items)
    for batch, key in zip(batches, list(sampler)[::2], strict=True):
        assert batch["case_id"] == [items[key[2]]["case_id"]] * 2
        assert not torch.equal(batch["fundus"][0], batch["fundus"][1])
        for view in (0, 1):
            assert torch.equal(batch["oct"][view], dataset[(*key[:3], view)]["oct"])
