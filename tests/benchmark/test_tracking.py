"""Every run is a child run in MLflow, told once, and without the name of a case."""

import sqlite3

import pytest
from benchmark_cohort import METHODS, small_plan

from medmd.benchmark import run_plan
from medmd.benchmark._tracking import Tracker, measured
from medmd.utils import read_json, write_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked")
    broken = {"name": "broken", "overlays": ["sgm"], "overrides": {"learning_rate": 1e30}, "seeds": 1}
    run_plan(small_plan(folder, methods=[METHODS[1], broken]), folder / "work", jobs=0)
    return folder


def children(folder):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'work' / 'mlruns.db'}")
    experiment = client.get_experiment_by_name("trial")
    runs = client.search_runs([experiment.experiment_id])
    return [run for run in runs if "mlflow.parentRunId" in run.data.tags], [
        run for run in runs if "mlflow.parentRunId" not in run.data.tags
    ]


def test_each_run_is_a_child_with_its_numbers(folder):
    found, (parent,) = children(folder)
    by_name = {run.info.run_name: run for run in found}

    assert set(by_name) == {"numbers/remd/0/0", "numbers/remd/0/1", "numbers/broken/0/0"}
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {parent.info.run_id}
    assert parent.info.status == "FINISHED"
    run = by_name["numbers/remd/0/1"]
    assert run.info.status == "FINISHED"
    assert run.data.params["method"] == "remd"
    assert run.data.metrics["steps/total"] == 12
    assert {"testing/fusion_mse", "validation/late_average_r2", "mean/gamma"} <= set(run.data.metrics)
    assert by_name["numbers/broken/0/0"].info.status == "FAILED"
    assert "medmd.error" in by_name["numbers/broken/0/0"].data.tags


def test_results_name_their_run_and_nothing_is_told_twice(folder):
    found, _ = children(folder)
    ids = {run.info.run_id for run in found}
    paths = sorted((folder / "work" / "runs").rglob("result.json"))
    assert {read_json(path)["mlflow_run_id"] for path in paths} == ids
    # As after a kill between telling and noting the id.
    write_json(paths[0], {**read_json(paths[0]), "mlflow_run_id": None})
    broken = {"name": "broken", "overlays": ["sgm"], "overrides": {"learning_rate": 1e30}, "seeds": 1}
    run_plan(small_plan(folder, methods=[METHODS[1], broken]), folder / "work", jobs=0)
    again, parents = children(folder)

    assert {run.info.run_id for run in again} == ids
    assert len(parents) == 1
    assert {read_json(path)["mlflow_run_id"] for path in paths} == ids


def test_the_store_names_no_case(folder):
    content = (folder / "work" / "mlruns.db").read_bytes()
    assert b"canary" not in content
    with sqlite3.connect(folder / "work" / "mlruns.db") as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone()[0] == 4


def test_a_store_that_is_away_is_told_at_the_start(tmp_path, monkeypatch):
    from medmd.utils import MedmdError

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    with pytest.raises(MedmdError, match="cannot be used"):
        run_plan(small_plan(tmp_path, methods=METHODS[:1]), tmp_path / "work", jobs=0)


def test_classes_are_measured_by_how_many_are_right():
    import pandas as pd

    table = pd.DataFrame({"case_id": list("abcd"), "patient_id": list("abcd"), "split": "testing", "laterality": ""})
    table = table.assign(target=[0.0, 1, 1, 0], fusion=[0.0, 1, 0, 0], fusion_p0=[0.9, 0, 0.6, 1], fusion_p1=0.1)

    assert measured(table) == {"testing/fusion_accuracy": 0.75}


def test_without_tracking_nothing_is_written(tmp_path):
    from medmd.benchmark._work import Work

    with Tracker(Work(tmp_path), small_plan(tmp_path), enabled=False).running():
        pass
    assert not (tmp_path / "mlruns.db").exists()
