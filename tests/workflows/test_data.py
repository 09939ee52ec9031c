import json
import logging

import pytest

from medmd.utils import MedmdError
from medmd.workflows import ensure_datalist, labelled_cases


def test_without_data_the_phantom_is_made_once(tmp_path):
    arguments = {"phantom_dir": str(tmp_path / "ph"), "phantom": {"n": 4, "seed": 3}}
    path = ensure_datalist(None, **arguments)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "ph").rglob("*") if file.is_file()}
    assert path == str(tmp_path / "ph" / "datalist.json")
    assert ensure_datalist(None, **arguments) == path
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "ph").rglob("*") if file.is_file()} == before
    with pytest.raises(MedmdError, match="other arguments"):
        ensure_datalist(None, phantom_dir=arguments["phantom_dir"], phantom={"n": 5})


def test_the_users_data_are_taken_as_folder_or_file(make_datalist, tmp_path):
    path = make_datalist()
    for named in (path, path.parent, str(path.parent)):
        assert ensure_datalist(named, phantom_dir=str(tmp_path / "ph"), phantom={}) == str(path)
    assert not (tmp_path / "ph").exists()


@pytest.mark.parametrize("named", ["absent", "absent.json", 2024])
def test_no_phantom_is_made_in_a_folder_that_the_user_named(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MedmdError, match="dataset_dir: no datalist at"):
        ensure_datalist(named, phantom_dir="ph", phantom={"n": 4})
    assert list(tmp_path.iterdir()) == []


def test_cases_hold_the_inputs_that_are_used_and_no_others(make_datalist, caplog):
    path = make_datalist(missing={0: "oct", 1: "fundus"})
    both = labelled_cases(path, "training", ["oct", "fundus"])
    assert len(both) == 8
    assert caplog.records == []
    with caplog.at_level(logging.WARNING):
        volumes = labelled_cases(path, "training", ["oct"])
    assert [item["case_id"] for item in volumes] == [item["case_id"] for item in both if "oct" in item]
    assert all("fundus" not in item and {"target", "laterality", "patient_id"} <= set(item) for item in volumes)
    assert "training: 1 of 8 cases left out" in caplog.text


def test_cases_without_a_target_are_left_out(make_datalist):
    path = make_datalist()
    document = json.loads(path.read_text())
    document["training"][0]["target"] = None
    path.write_text(json.dumps(document))
    assert len(labelled_cases(path, "training", ["oct"])) == 7


def test_inputs_that_no_case_has_are_refused(make_datalist):
    with pytest.raises(MedmdError, match=r"testing: no case has any of the inputs \['rnfl'\]"):
        labelled_cases(make_datalist(), "testing", ["rnfl"])


def test_cases_of_a_range_of_targets(make_datalist):
    path = make_datalist()
    every = [item["target"] for item in labelled_cases(path, "training", ["oct", "fundus"])]
    middle = sorted(every)[len(every) // 2]
    below = labelled_cases(path, "training", ["oct", "fundus"], target_range=(None, middle))
    above = labelled_cases(path, "training", ["oct", "fundus"], target_range=(middle, None))
    assert 0 < len(below) < len(every)
    assert all(item["target"] < middle for item in below)
    assert sorted(item["target"] for item in [*below, *above]) == sorted(every)
