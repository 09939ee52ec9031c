import pytest
from hypothesis import given
from hypothesis import strategies as st

from medmd.data import SeededSampler

lengths = st.integers(1, 60)
epochs = st.integers(0, 500)
seeds = st.integers(0, 2**31 - 1)


@given(length=lengths, seed=seeds, epoch=epochs, shuffle=st.booleans())
def test_every_case_comes_once_with_stage_and_epoch(length, seed, epoch, shuffle):
    sampler = SeededSampler(length, seed=seed, stage="train", shuffle=shuffle)
    sampler.set_epoch(epoch)
    drawn = list(sampler)

    assert sorted(index for _, _, index in drawn) == list(range(length))
    assert {(stage, number) for stage, number, _ in drawn} == {("train", epoch)}
    assert len(sampler) == length
    assert drawn == list(sampler)


@given(length=lengths, seed=seeds, epoch=epochs, data=st.data())
def test_skip_leaves_out_what_was_consumed(length, seed, epoch, data):
    sampler = SeededSampler(length, seed=seed, stage="train")
    sampler.set_epoch(epoch)
    whole = list(sampler)
    skip = data.draw(st.integers(0, length))
    sampler.set_epoch(epoch, skip=skip)

    assert list(sampler) == whole[skip:]
    assert len(sampler) == length


@given(length=lengths, seed=seeds, epoch=epochs, world=st.integers(1, 7))
def test_processes_share_the_cases_in_equal_numbers(length, seed, epoch, world):
    parts = []
    for rank in range(world):
        sampler = SeededSampler(length, seed=seed, stage="train", rank=rank, world=world)
        sampler.set_epoch(epoch)
        parts.append([index for _, _, index in sampler])
        assert len(parts[-1]) == len(sampler)
    drawn = [index for part in parts for index in part]

    assert set(drawn) == set(range(length))
    assert len({len(part) for part in parts}) == 1
    assert len(drawn) - length < world


def test_order_changes_with_epoch_stage_and_seed():
    def order(seed, stage, epoch):
        sampler = SeededSampler(50, seed=seed, stage=stage)
        sampler.set_epoch(epoch)
        return [index for _, _, index in sampler]

    base = order(0, "train", 0)
    assert base == order(0, "train", 0)
    assert base not in (order(0, "train", 1), order(0, "pretrain", 0), order(1, "train", 0), list(range(50)))


def test_without_shuffling_the_datalist_order_is_kept():
    assert [index for _, _, index in SeededSampler(5, seed=9, stage="evaluate", shuffle=False)] == [0, 1, 2, 3, 4]


def test_an_iterator_keeps_the_epoch_in_which_it_began():
    sampler = SeededSampler(4, seed=0, stage="train")
    running = iter(sampler)
    sampler.set_epoch(3)

    assert [epoch for _, epoch, _ in running] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"length": 0}, "at least one case, got 0"), ({"length": 4, "rank": 2, "world": 2}, "rank 2 of 2")],
)
def test_wrong_arguments_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        SeededSampler(**arguments, seed=0, stage="train")


def test_skipping_more_than_an_epoch_is_refused():
    with pytest.raises(ValueError, match=r"expected 0 to 4 .*, got 5"):
        SeededSampler(4, seed=0, stage="train").set_epoch(0, skip=5)


@given(length=lengths, seed=seeds, epoch=epochs, views=st.integers(2, 4), data=st.data())
def test_views_of_a_case_come_one_after_the_other_in_the_same_order(length, seed, epoch, views, data):
    single = SeededSampler(length, seed=seed, stage="train")
    sampler = SeededSampler(length, seed=seed, stage="train", views=views)
    single.set_epoch(epoch)
    sampler.set_epoch(epoch)
    drawn = list(sampler)

    assert drawn == [(*key, view) for key in single for view in range(views)]
    assert len(sampler) == views * length == len(drawn)
    skip = data.draw(st.integers(0, len(sampler)))
    sampler.set_epoch(epoch, skip=skip)
    assert list(sampler) == drawn[skip:]


def test_processes_share_whole_cases_not_views():
    parts = [list(SeededSampler(5, seed=0, stage="train", views=2, rank=rank, world=2)) for rank in (0, 1)]

    assert [len(part) for part in parts] == [6, 6]
    assert all(part[i][:3] == part[i + 1][:3] for part in parts for i in (0, 2, 4))
    assert {index for part in parts for _, _, index, _ in part} == set(range(5))


def test_no_view_is_refused():
    with pytest.raises(ValueError, match="views: expected at least 1, got 0"):
        SeededSampler(4, seed=0, stage="train", views=0)
