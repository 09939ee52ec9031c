"""Vectors in matrices beside the datalist."""

import json

import numpy as np
import pytest

from medmd.cli import main as medmd
from medmd.data import (
    Case,
    Datalist,
    Header,
    InputSpec,
    TargetSpec,
    check_datalist,
    load_datalist,
    load_items,
    vector_statistics,
    write_datalist,
)
from medmd.utils import MedmdError

MATRIX = np.random.RandomState(0).normal(size=(6, 9)).astype(np.float32)


def write(folder, *, matrix=MATRIX, values=None, unsplit=False):
    """Six cases of six people; a matrix row each, the last one numbers in the datalist, the first without."""
    (folder / "vectors").mkdir(parents=True)
    if matrix is not None:
        np.save(folder / "vectors" / "text.npy", matrix)
    rows = [None, *[f"vectors/text.npy#{number}" for number in range(1, 5)], MATRIX[5].tolist()]
    cases = [
        Case(case_id=f"c{number}", patient_id=f"p{number}", inputs={"text": value, "sex": [1.0]}, target=float(number))
        for number, value in enumerate(values or rows)
    ]
    header = Header(
        name="rows",
        inputs={"text": InputSpec(kind="vector"), "sex": InputSpec(kind="vector")},
        target=TargetSpec(name="y", unit="", range=(0, 9)),
    )
    splits = {"unsplit": cases} if unsplit else {"training": cases[:4], "testing": cases[4:]}
    write_datalist(folder / "datalist.json", Datalist(header=header, splits=splits))
    return folder / "datalist.json"


def test_a_case_holds_the_numbers_of_its_row(tmp_path):
    path = write(tmp_path)
    assert json.loads(path.read_text())["training"][1]["inputs"]["text"] == "vectors/text.npy#1"
    for _ in range(2):  # The second time the schema is known to be obeyed.
        cases = [case for _, case in load_datalist(path).cases()]
        assert cases[0].inputs["text"] is None
        np.testing.assert_array_equal(np.float32([case.inputs["text"] for case in cases[1:]]), MATRIX[1:])
    items = load_items(path, "training")
    assert "text" not in items[0]
    np.testing.assert_array_equal(np.float32(items[3]["text"]), MATRIX[3])
    assert check_datalist(path).ok


def test_a_changed_datalist_is_validated_again(tmp_path):
    path = write(tmp_path)
    load_datalist(path)
    path.write_text(path.read_text().replace('"case_id": "c1"', '"case_id": 1'))
    with pytest.raises(MedmdError, match="not a medmd datalist"):
        load_datalist(path)


def test_identical_rows_in_two_lists_are_found(tmp_path):
    matrix = MATRIX.copy()
    matrix[4] = matrix[1]
    assert "content-in-two-splits" in {item.rule for item in check_datalist(write(tmp_path, matrix=matrix)).findings}


def test_a_split_holds_numbers(tmp_path):
    path = write(tmp_path, unsplit=True)
    assert medmd(["split", str(path), str(tmp_path / "other" / "split.json"), "--fractions", "0.6", "0.2", "0.2"]) == 0
    cases = {case.case_id: case for _, case in load_datalist(tmp_path / "other" / "split.json").cases()}
    np.testing.assert_array_equal(np.float32(cases["c2"].inputs["text"]), MATRIX[2])


@pytest.mark.parametrize(
    ("matrix", "value", "words"),
    [
        (MATRIX, "vectors/text.npy#6", "row 6 of a matrix of 6 rows"),
        (MATRIX, "vectors/text.npy", "no such reference"),
        (MATRIX, "vectors/other.npy#1", "not there"),
        (MATRIX, "../text.npy#1", "climbs"),
        (MATRIX, "/etc/text.npy#1", "an absolute path"),
        (MATRIX[0], "vectors/text.npy#1", "an array of shape"),
        (np.array([["a"], ["b"]]), "vectors/text.npy#1", "an array of shape"),
        (np.array([[{}], [{}]]), "vectors/text.npy#1", "cannot be read"),
        (None, "vectors/text.npy#1", "not there"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_with_its_case(tmp_path, matrix, value, words):
    path = write(tmp_path, matrix=matrix, values=[[0.0] * 9, [1.0] * 9, [2.0] * 9])
    document = json.loads(path.read_text())
    document["training"][1]["inputs"]["text"] = value
    path.write_text(json.dumps(document))
    with pytest.raises(MedmdError, match=r"Case c1, input text") as told:
        load_datalist(path)
    assert words in str(told.value)
    report = check_datalist(path)
    assert not report.ok
    assert any(words in item.found for item in report.findings if item.case_id == "c1")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    path = write(tmp_path / "eyes")
    np.save(tmp_path / "elsewhere.npy", MATRIX)
    (path.parent / "vectors" / "text.npy").unlink()
    (path.parent / "vectors" / "text.npy").symlink_to(tmp_path / "elsewhere.npy")
    with pytest.raises(MedmdError, match="a link out of"):
        load_datalist(path)


def test_statistics_are_those_of_the_training_list_alone(tmp_path):
    path = write(tmp_path)
    found = vector_statistics(path, "text")
    np.testing.assert_allclose(found["mean"], MATRIX[1:4].astype(float).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["std"], MATRIX[1:4].astype(float).std(axis=0), rtol=1e-6)
    assert vector_statistics(path, "sex") == {"mean": [1.0], "std": [1.0]}
    np.testing.assert_allclose(vector_statistics(path, "text", "testing")["mean"], MATRIX[4:].mean(axis=0), rtol=1e-5)
    with pytest.raises(MedmdError, match="numbers for the input audio"):
        vector_statistics(path, "audio")
