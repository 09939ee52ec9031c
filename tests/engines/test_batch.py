import pytest
import torch

from medmd.engines import PrepareModalities
from medmd.utils import MedmdError


@pytest.fixture
def prepare():
    return PrepareModalities(["oct", "fundus"])


def test_a_complete_batch_needs_no_row_numbers(tiny, collate, prepare):
    cases = tiny.cases(5)
    batch = prepare(collate(cases), "cpu")

    assert len(batch) == 5
    assert batch.present is None
    assert batch.rows == {"oct": None, "fundus": None}
    assert batch.count("oct") == 5
    image, target = batch.of("oct")
    assert torch.equal(image, torch.stack([case["oct"] for case in cases]))
    assert torch.equal(target, torch.stack([case["target"] for case in cases]))
    assert batch.case_ids == ["c000", "c001", "c002", "c003", "c004"]


def test_rows_of_a_modality_are_those_in_which_it_is_present(tiny, collate, prepare):
    cases = tiny.cases(4, missing={1: "oct", 3: "oct", 0: "fundus"})
    batch = prepare(collate(cases), "cpu")

    assert batch.rows["oct"].tolist() == [0, 2]
    assert batch.rows["fundus"].tolist() == [1, 2, 3]
    image, target = batch.of("oct")
    assert torch.equal(image, torch.stack([cases[0]["oct"], cases[2]["oct"]]))
    assert torch.equal(target, torch.stack([cases[0]["target"], cases[2]["target"]]))
    assert batch.count("fundus") == 3


@pytest.mark.parametrize(("parts", "sizes"), [(1, [7]), (2, [3, 4]), (3, [2, 2, 3]), (7, [1] * 7), (20, [1] * 7)])
def test_micro_batches_hold_every_row_once_in_order(tiny, collate, prepare, parts, sizes):
    batch = prepare(collate(tiny.cases(7, missing={2: "oct", 5: "fundus"})), "cpu")
    found = list(batch.split(parts))

    assert [len(part) for part in found] == sizes
    assert [case for part in found for case in part.case_ids] == batch.case_ids
    assert torch.equal(torch.cat([part.target for part in found]), batch.target)
    assert torch.equal(torch.cat([part.present for part in found]), batch.present)
    assert torch.equal(torch.cat([part.of("oct")[0] for part in found]), batch.of("oct")[0])
    assert sum(part.count("fundus") for part in found) == 6


def test_views_are_grouped_case_by_case(tiny, collate, prepare):
    cases = [case for case in tiny.cases(3) for _ in range(2)]
    batch = prepare(collate(cases), "cpu")

    assert batch.views_of("oct", 2).tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_case_without_the_modality_in_one_view_is_not_grouped(tiny, collate, prepare):
    cases = [case for case in tiny.cases(4) for _ in range(2)]
    cases[2] = {**cases[2], "present": torch.tensor([False, True])}
    cases[6] = cases[7] = {**cases[6], "present": torch.tensor([False, True])}
    batch = prepare(collate(cases), "cpu")

    # Rows with oct: 0 1 | 3 | 4 5, at positions 0 1 | 2 | 3 4.
    assert batch.views_of("oct", 2).tolist() == [[0, 3], [1, 4]]
    assert batch.views_of("fundus", 2).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]


@pytest.mark.parametrize("names", [["a", "a", "b", "c"], ["a", "b", "b", "a"], ["a", "a", "b"]])
def test_rows_that_are_no_views_are_refused(tiny, collate, prepare, names):
    cases = [{**case, "case_id": name} for case, name in zip(tiny.cases(len(names)), names, strict=True)]
    batch = prepare(collate(cases), "cpu")

    with pytest.raises(MedmdError, match="views=2"):
        batch.views_of("oct", 2)


def test_a_batch_without_an_input_of_the_network_is_refused(tiny, collate):
    with pytest.raises(MedmdError, match=r"no input \['field'\]"):
        PrepareModalities(["oct", "field"])(collate(tiny.cases(2)), "cpu")


def test_a_batch_with_other_columns_of_presence_is_refused(tiny, collate):
    with pytest.raises(MedmdError, match=r"one column for each of \['oct'\]"):
        PrepareModalities(["oct"])(collate(tiny.cases(2)), "cpu")
