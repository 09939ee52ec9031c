"""A kill while the store is made must not keep the run from ever starting again."""

import sqlite3

import pytest
from mlflow import MlflowClient

from medmd.handlers import MLflowRun
from medmd.utils import read_json, write_json

pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")


@pytest.fixture
def begin(tmp_path, monkeypatch, empty_store):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def start():
        if not (tmp_path / "mlruns.db").exists():
            (tmp_path / "mlruns.db").write_bytes(empty_store)
        run = MLflowRun(folder=tmp_path)
        run.start(parameters={"seed": 0}, tags={})
        return run

    return start


def runs(folder):
    client = MlflowClient(f"sqlite:///{folder / 'mlruns.db'}")
    return client.search_runs([each.experiment_id for each in client.search_experiments()])


def test_a_store_that_was_half_made_is_made_anew(tmp_path, begin):
    # MLflow's own first table, and the beginning of its change to the next version.
    with sqlite3.connect(tmp_path / "mlruns.db") as half:
        half.execute("CREATE TABLE metrics (key VARCHAR(250), value FLOAT, run_uuid VARCHAR(32))")
        half.execute("CREATE TABLE _alembic_tmp_metrics (key VARCHAR(250))")
        half.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        half.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
    half.close()
    (tmp_path / "mlruns.db-journal").write_bytes(b"journal of the half")
    begin().finish("FINISHED")
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"]
    assert (tmp_path / "mlruns.db-journal.damaged").read_bytes() == b"journal of the half"
    with sqlite3.connect(tmp_path / "mlruns.db.damaged") as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("451aebb31d03",)]
    kept.close()


def test_a_run_whose_id_was_not_kept_is_found_again(tmp_path, begin):
    first = begin()
    first.finish("KILLED")
    memory = read_json(tmp_path / "mlflow_run.json")
    # As after a kill while the answer was under way.
    write_json(tmp_path / "mlflow_run.json", {name: memory[name] for name in ("start", "store", "experiment")})
    second = begin()
    second.finish("FINISHED")
    assert [(run.info.run_id, run.info.status) for run in runs(tmp_path)] == [(first.run_id, "FINISHED")]
    assert read_json(tmp_path / "mlflow_run.json") == memory


def test_a_run_that_was_announced_but_not_made_is_made(tmp_path, begin):
    begin().finish("FINISHED")
    (tmp_path / "mlflow_run.json").write_text('{"start": "0", "store": "folder", "experiment": "remd"}')
    begin().finish("FINISHED")
    assert len(runs(tmp_path)) == 2


def test_a_whole_store_stays_also_when_no_run_of_the_folder_is_known(tmp_path, begin):
    # It may hold a registered model and its run.
    begin().finish("FINISHED")
    (tmp_path / "mlflow_run.json").unlink()
    begin().finish("FINISHED")
    assert len(runs(tmp_path)) == 2
    assert not list(tmp_path.glob("*.damaged"))


def test_a_known_run_keeps_its_store(tmp_path, begin):
    first = begin()
    first.finish("KILLED")
    second = begin()
    second.finish("FINISHED")
    assert second.run_id == first.run_id
    assert [run.info.run_id for run in runs(tmp_path)] == [first.run_id]
    assert not list(tmp_path.glob("*.damaged"))
