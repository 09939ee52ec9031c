"""What the one reader of a benchmark's folder gives."""

import numpy as np
import pandas as pd
import pytest
from benchmark_work import noisy, write_work

from medmd.benchmark import Row, RunKey, Work, load_runs, write_run
from medmd.utils import MedmdError, read_json, write_json

COLUMNS = {"fusion": noisy(1.0), "pretrain_oct": noisy(2.0), "pretrain_fundus": noisy(3.0)}


@pytest.fixture
def runs(tmp_path):
    write_work(
        tmp_path,
        {"first_method": COLUMNS, "second_method": {"fusion": noisy(1.5)}, "broken": None},
        derived=[{"name": "alone_*", "of": "first_method", "column": "pretrain_*", "label": "default"}],
        summary={"first_method": {"gamma": 1.5}},
    )
    return load_runs(tmp_path)


def test_there_is_one_result_for_each_run(runs):
    assert len(runs.results) == 3 * 2
    assert set(runs.results["status"]) == {"finished", "failed"}
    first = runs.results[runs.results["method"] == "first_method"].iloc[0]
    assert (first["steps"], first["steps_pretrain"], first["steps_train"]) == (30, 10, 20)
    assert first["summary_gamma"] == 1.5
    assert runs.result(first["folder"])["overlays"] == ["methods/first_method"]


def test_predictions_are_in_long_form_with_derived_rows(runs):
    found = runs.predictions("first")

    assert list(dict.fromkeys(found["row"])) == ["first_method", "second_method", "alone_oct", "alone_fundus"]
    assert set(found["seed"]) == {0, 1}
    assert len(found) == 4 * 2 * 20
    table = runs.table("runs/first/first_method/fold0-seed1")
    own = found[(found["row"] == "alone_oct") & (found["seed"] == 1)].set_index("case_id")["prediction"]
    expected = table[table["split"] == "testing"].set_index("case_id")["pretrain_oct"]
    pd.testing.assert_series_equal(own, expected, check_names=False)


def test_the_split_can_be_chosen(runs):
    testing, validation = runs.predictions("first"), runs.predictions("first", "validation")

    assert not set(testing["patient_id"]) & set(validation["patient_id"])


def test_failed_runs_are_told_and_give_no_row(runs):
    assert [line for line in runs.problems if "broken" in line] == [
        "first, broken, fold 0, seed 0: MedmdError: the loss is not finite",
        "first, broken, fold 0, seed 1: MedmdError: the loss is not finite",
    ]
    assert "broken" not in set(runs.predictions("first")["row"])


def test_runs_that_are_not_there_are_told(tmp_path):
    work = write_work(tmp_path, {"a": COLUMNS})
    plan = read_json(work.plan)
    write_json(work.plan, {**plan, "methods": [*plan["methods"], {"name": "later"}], "seeds": [0, 1, 2]})

    assert load_runs(tmp_path).problems == [
        "first, a: 1 of 3 runs are missing.",
        "first, later: 3 of 3 runs are missing.",
    ]


def test_a_column_that_no_run_has_is_told(tmp_path):
    write_work(tmp_path, {"a": COLUMNS}, derived=[{"name": "late", "of": "a", "column": "late_average"}])
    runs = load_runs(tmp_path)
    runs.predictions("first")

    assert runs.problems == ["first: no run of a has a column late_average; the row late is missing."]


def test_cases_without_a_prediction_are_left_out_unless_asked_for(tmp_path):
    def half(target, random):
        return np.where(np.arange(len(target)) % 2, target, np.nan)

    write_work(tmp_path, {"a": {"fusion": half}}, seeds=(0,))
    runs = load_runs(tmp_path)

    assert len(runs.predictions("first")) == 10
    assert len(runs.predictions("first", finite=False)) == 20


def test_every_case_is_tested_once_over_the_folds(tmp_path):
    write_work(tmp_path, {"a": COLUMNS}, folds=5, seeds=(0,))
    found = load_runs(tmp_path).predictions("first")

    assert sorted(found["case_id"]) == [f"c{number:04d}" for number in range(40)]


def test_a_folder_without_a_plan_is_refused(tmp_path):
    with pytest.raises(MedmdError, match=r"no plan\.json"):
        load_runs(tmp_path)


def test_an_unknown_data_set_is_refused(runs):
    with pytest.raises(MedmdError, match="expected one of"):
        runs.predictions("second")


def test_an_empty_benchmark_can_be_read(tmp_path):
    work = write_work(tmp_path, {"a": COLUMNS}, seeds=())
    runs = load_runs(tmp_path)

    assert work.plan.is_file()
    assert len(runs.results) == 0
    assert runs.predictions("first").empty


def test_a_run_of_another_format_is_told(tmp_path):
    work = write_work(tmp_path, {"a": COLUMNS}, seeds=(0,))
    path = work.run(RunKey("first", "a", 0, 0)) / "result.json"
    write_json(path, {**read_json(path), "format": 2})
    runs = load_runs(tmp_path)

    assert "expected format 1, got 2" in runs.problems[0]


def test_a_run_stands_under_its_name_only_when_all_of_it_is_written(tmp_path):
    work, key = Work(tmp_path), RunKey("d", "m", 0, 0)
    with pytest.raises(MedmdError):
        write_run(work, key, {"status": "finished"}, predictions=pd.DataFrame({"case_id": ["a"]}))

    assert work.status(key) is None
    assert list(work.run(key).parent.iterdir()) == []


def test_a_run_replaces_the_failed_one(tmp_path):
    work, key = Work(tmp_path), RunKey("d", "m", 0, 0)
    write_run(work, key, {"status": "failed"})
    assert work.status(key) == "failed"
    row = {"case_id": "a", "patient_id": "p", "split": "testing", "laterality": "", "target": 1.0, "fusion": 2.0}
    folder = write_run(work, key, {"status": "finished"}, predictions=pd.DataFrame([row]))

    assert work.status(key) == "finished"
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.csv", "result.json"]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("result", [{"status": "finished"}, {"status": "running"}, {}])
def test_what_has_not_ended_is_not_written(tmp_path, result):
    with pytest.raises(ValueError, match=r"predictions|status"):
        write_run(Work(tmp_path), RunKey("d", "m", 0, 0), result)


def test_a_row_with_a_star_is_one_row_a_column():
    row = Row(name="only_*", method="m", column="pretrain_*")

    assert row.columns(["fusion", "pretrain_oct", "pretrain_fundus"]) == {
        "only_oct": "pretrain_oct",
        "only_fundus": "pretrain_fundus",
    }
    assert row.columns(["pretrain_oct", "pretrain_oct_p0", "pretrain_oct_p1"]) == {"only_oct": "pretrain_oct"}
    assert Row(name="late", method="m", column="late_average").columns(["fusion"]) == {}
