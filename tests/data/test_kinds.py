"""Targets that are classes or several tasks: from the datalist's text to what a batch holds."""

import json
import math

import numpy as np
import pytest
import torch

from medmd.data import (
    Case,
    Datalist,
    Header,
    InputSpec,
    TargetSpec,
    check_datalist,
    label_density,
    load_datalist,
    load_items,
    split_by_patient,
    target_statistics,
    write_datalist,
)
from medmd.transforms import PackInputsd
from medmd.utils import MedmdError

GRADE = TargetSpec.of_classes("grade", ("none", "early", "late"))
BOTH = TargetSpec.of_tasks("both", [GRADE, TargetSpec(name="md", range=(-30.0, 5.0))])
TWO = TargetSpec.of_tasks(
    "two", [TargetSpec.of_classes("left", ("a", "b")), TargetSpec.of_classes("right", ("a", "b"))]
)


def write(folder, target, values, **parts):
    cases = [
        Case(case_id=f"c{place}", patient_id=f"p{place}", inputs={"labs": [float(place)]}, target=value)
        for place, value in enumerate(values)
    ]
    header = Header(name="kinds", inputs={"labs": InputSpec(kind="vector")}, target=target)
    path = folder / "datalist.json"
    write_datalist(path, Datalist(header=header, splits={"training": cases, **parts}))
    return path


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def refusals(path):
    return [(found.rule, found.case_id) for found in check_datalist(path).refusals]


def test_classes_and_tasks_survive_a_round_trip(tmp_path):
    for target, values in ((GRADE, [0, 2, None]), (BOTH, [[1, -3.5], [None, -2.0], None])):
        path = write(tmp_path, target, values)
        loaded = load_datalist(path)
        assert loaded.header.target == target
        assert [case.target for case in loaded.splits["training"]] == values
        assert check_datalist(path).ok


def test_the_range_of_classes_follows_from_their_number():
    assert GRADE.range == (0, 2)
    assert BOTH.range == (-30, 5)
    assert GRADE.class_names == ("none", "early", "late")
    assert TargetSpec(kind="class", range=(0, 2)).class_names == ("0", "1", "2")
    assert TargetSpec().class_names == ()


def test_a_document_keeps_indices_as_integers(tmp_path):
    document = json.loads(write(tmp_path, BOTH, [[np.int64(1), -3]]).read_text())
    assert document["target"]["tasks"][0]["classes"] == ["none", "early", "late"]
    first, second = document["training"][0]["target"]
    assert (first, type(first), second, type(second)) == (1, int, -3.0, float)


@pytest.mark.parametrize("value", [3, -1])
def test_an_index_outside_the_classes_is_refused(tmp_path, value):
    path = edit(write(tmp_path, GRADE, [0, 1]), lambda d: d["training"][0].update(target=value))
    assert refusals(path) == [("target-range", "c0")]
    assert "0 to 2" in check_datalist(path).refusals[0].expected


@pytest.mark.parametrize(
    ("target", "value", "rule"),
    [
        (GRADE, 0.5, "target-kind"),
        (GRADE, [1], "target-kind"),
        (BOTH, [1], "target-kind"),
        (BOTH, [1, -3.0, 2], "target-kind"),
        (BOTH, 1, "target-kind"),
        (BOTH, [3, -3.0], "target-range"),
        (BOTH, [0.5, -3.0], "target-kind"),
        (BOTH, [1, 40.0], "target-range"),
    ],
)
def test_targets_of_another_form_are_refused(tmp_path, target, value, rule):
    good = 1 if target is GRADE else [1, -2.0]
    path = edit(write(tmp_path, target, [good, good]), lambda d: d["training"][0].update(target=value))
    assert refusals(path) == [(rule, "c0")]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["target"].update(range=[0, 5]),
        lambda d: d["target"].update(kind="number"),
        lambda d: d["target"].update(tasks=[d["target"]["tasks"][0] if "tasks" in d["target"] else {
            "name": "t", "kind": "number", "unit": "", "range": [0, 1]}]),
    ],
)  # fmt: skip
def test_a_header_that_contradicts_itself_is_refused(tmp_path, change):
    path = edit(write(tmp_path, GRADE, [0, 1]), change)
    assert any(case is None for _, case in refusals(path))


def test_one_name_for_two_tasks_is_refused(tmp_path):
    path = edit(write(tmp_path, TWO, [[0, 1]]), lambda d: d["target"]["tasks"][1].update(name="left"))
    assert ("target-kind", None) in refusals(path)


@pytest.mark.parametrize("classes", [["one"], ["same", "same"], [""]])
def test_the_schema_wants_two_classes_with_names(tmp_path, classes):
    path = edit(write(tmp_path, GRADE, [0, 1]), lambda d: d["target"].update(classes=classes))
    with pytest.raises(MedmdError, match=r"target\.classes"):
        load_datalist(path)


def test_items_hold_what_losses_need(tmp_path):
    assert [item["target"] for item in load_items(write(tmp_path, GRADE, [2, None]), "training")] == [2, -1]
    items = load_items(write(tmp_path, BOTH, [[1, -3.5], [None, -2.0], [2, None], None]), "training")
    assert [item["target"] for item in items[:2]] == [[1, -3.5], [-1, -2.0]]
    assert items[2]["target"][0] == 2
    assert math.isnan(items[2]["target"][1])
    assert len(load_items(write(tmp_path, BOTH, [[1, -3.5], None]), "training", labelled=True)) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, torch.tensor(2)),
        (-1, torch.tensor(-1)),
        ([0, 1], torch.tensor([0, 1])),
        ([1, -3.5], torch.tensor([1.0, -3.5])),
        ([-1, math.nan], torch.tensor([-1.0, math.nan])),
        ([1, None], torch.tensor([1.0, math.nan])),
        (2.0, torch.tensor(2.0)),
    ],
)
def test_a_packed_target_has_the_type_that_its_loss_takes(value, expected):
    packed = PackInputsd("labs", {"labs": [1]})({"case_id": "c", "labs": [0.0], "target": value})["target"]
    assert packed.dtype == expected.dtype
    torch.testing.assert_close(packed, expected, equal_nan=True)


def test_packing_refuses_texts_in_a_list():
    with pytest.raises(MedmdError, match="case 'c': 'target'"):
        PackInputsd("labs", {"labs": [1]})({"case_id": "c", "labs": [0.0], "target": ["early", 1]})


def test_statistics_of_classes_count_them(tmp_path):
    found = target_statistics(write(tmp_path, GRADE, [0, 0, 0, 1, None]))
    assert found["count"] == 4
    assert found["counts"] == [3, 1, 0]
    assert found["frequencies"] == [0.75, 0.25, 0.0]
    # Laplace's rule: no class is held for impossible.
    np.testing.assert_allclose(found["start"], [4 / 7, 2 / 7, 1 / 7])
    assert "mean" not in found
    assert "tail_threshold" not in found


def test_statistics_of_tasks_are_those_of_each(tmp_path):
    found = target_statistics(write(tmp_path, BOTH, [[0, -4.0], [1, -2.0], [None, None], None]))
    assert found["count"] == 3
    assert found["tasks"]["grade"]["counts"] == [1, 1, 0]
    assert found["tasks"]["md"]["mean"] == -3.0
    assert found["start"] == [found["tasks"]["grade"]["start"], -3.0]


def test_a_number_starts_at_its_mean(tmp_path):
    found = target_statistics(write(tmp_path, TargetSpec(), [-2.0, -4.0]))
    assert found["start"] == found["mean"] == -3.0


def test_a_task_without_any_known_target_is_refused(tmp_path):
    with pytest.raises(MedmdError, match="known target"):
        target_statistics(write(tmp_path, BOTH, [[1, None], [2, None]]))


def test_classes_have_no_density(tmp_path):
    with pytest.raises(MedmdError, match="got class"):
        label_density(write(tmp_path, GRADE, [0, 1]))


def test_a_split_keeps_the_shares_of_the_classes():
    values = [0] * 60 + [1] * 30 + [2] * 10
    cases = [Case(case_id=f"c{n:03d}", patient_id=f"p{n:03d}", inputs={}, target=v) for n, v in enumerate(values)]
    parts = split_by_patient(cases, seed=3, fractions={"training": 0.5, "testing": 0.5}, target=GRADE)
    for part in parts.values():
        assert np.bincount([case.target for case in part], minlength=3).tolist() == [30, 15, 5]


def test_a_split_of_tasks_puts_patients_with_unknown_parts_somewhere():
    values = [[n % 2, None if n % 3 else -float(n)] for n in range(40)] + [None, [None, None]]
    cases = [Case(case_id=f"c{n:03d}", patient_id=f"p{n:03d}", inputs={}, target=v) for n, v in enumerate(values)]
    parts = split_by_patient(cases, seed=0, target=BOTH)
    assert sorted(case.case_id for part in parts.values() for case in part) == [case.case_id for case in cases]


def test_the_summary_counts_classes(tmp_path):
    summary = check_datalist(write(tmp_path, GRADE, [0, 0, 2, None])).summary["target"]
    assert summary["classes"] == {"none": 2, "early": 0, "late": 1}
    assert summary["histogram"] == {"edges": [-0.5, 0.5, 1.5, 2.5], "counts": {"training": [2, 0, 1]}}
    report = check_datalist(write(tmp_path, GRADE, [0, 0, 2, None]))
    assert "none: 2, early: 0, late: 1" in report.to_html()
    assert "standard deviation" not in report.to_html()
    tasks = check_datalist(write(tmp_path, TWO, [[0, 1], None])).summary["target"]
    assert tasks["tasks"] == ["left", "right"]
    assert tasks["known"] == 1
