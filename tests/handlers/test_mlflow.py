"""Tracking against a real SQLite store."""

import getpass
import json
import os
import subprocess
import sys

import pytest
from ignite.engine import Events

from medmd.handlers import History, MLflowRun, TrackMLflow, silence_telemetry
from medmd.handlers._history import Entry
from medmd.utils import MedmdError

# MLflow 3.17 uses an option that SQLAlchemy 2.1 marks as deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def folder(tmp_path, empty_store):
    path = tmp_path / "run"
    path.mkdir()
    (path / "mlruns.db").write_bytes(empty_store)
    return path


def _open(folder, **options):
    run = MLflowRun(folder=folder, **options)
    run.start(parameters={"learning_rate": 0.001, "long": "x" * 900}, tags={"method": "remd"})
    return run


def _track(run):
    return lambda recorder: TrackMLflow(run=run, recorder=recorder, every=40)


def _metrics(run):
    """By name (step, value) of everything that the store holds, in order of steps."""
    assert run.settle()
    names = run.client.get_run(run.run_id).data.metrics
    histories = {name: run.client.get_metric_history(run.run_id, name) for name in names}
    return {name: sorted((m.step, m.value) for m in found) for name, found in histories.items()}


def _expected(history):
    found = {}
    for entry in history:
        found.setdefault(f"{entry.stage}/{entry.name}", []).append((entry.iteration, entry.value))
    return {name: sorted(values) for name, values in found.items()}


def _equal(a, b):
    # NaN, the share of no anchors, is not equal to itself.
    return repr(sorted(a.items())) == repr(sorted(b.items()))


def test_one_run_holds_every_number_of_both_stages(stage, folder):
    run = _open(folder, experiment="eyes", name="first")
    history = History()
    one = stage(folder / "one", stage="pretrain", epochs=2, history=history, further=(_track(run),)).run()
    stage(folder / "two", epochs=2, history=history, network=one.network, further=(_track(run),)).run()
    run.finish("FINISHED")

    assert _equal(_metrics(run), _expected(history))
    assert {"pretrain/oct/loss", "pretrain/val_oct_mse", "train/gamma", "train/val_fusion_mae"} <= set(_metrics(run))
    assert len(_metrics(run)["train/loss"]) == 6
    assert len(_metrics(run)["train/val_fusion_mse"]) == 2
    found = run.client.get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "first"
    assert found.data.params == {"learning_rate": "0.001", "long": "x" * 500}
    experiment = run.client.get_experiment(found.info.experiment_id)
    assert experiment.name == "eyes"
    assert len(run.client.search_runs([experiment.experiment_id])) == 1


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_the_status_is_what_happened_and_the_last_numbers_are_sent(stage, folder, status):
    run = _open(folder)
    kept = []
    stopped = stage(folder / "train", further=(_track(run), lambda recorder: kept.append(recorder) or _Nothing()))
    stopped.run(stop_at=8)
    run.finish(status)

    found = run.client.get_run(run.run_id)
    assert found.info.status == status
    assert found.info.end_time is not None
    # The history of 2 epochs; the iteration that had not come to the host is lost.
    assert _equal(_metrics(run), _expected(stopped.history.entries))


class _Nothing:
    def attach(self, engine):
        pass


@pytest.mark.parametrize("every", [0, 1])
def test_a_resumed_training_goes_on_in_its_run_without_gaps_or_repeats(stage, folder, every):
    first = _open(folder)
    stage(folder / "train", every=every, log_every=1, further=(_track(first),)).run(stop_at=6)
    # As after kill -9: nothing was closed.
    second = _open(folder)
    assert second.goes_on
    assert second.run_id == first.run_id
    assert second.client.get_run(second.run_id).info.status == "RUNNING"
    resumed = stage(folder / "train", every=every, log_every=1, init=9, further=(_track(second),)).run()
    second.finish("FINISHED")

    assert _equal(_metrics(second), _expected(resumed.history))
    assert [step for step, _ in _metrics(second)["train/loss"]] == list(range(1, 10))
    assert len(second.client.search_runs(["1"])) == 1


def test_a_deleted_run_is_replaced_by_a_whole_one(stage, folder, caplog):
    first = _open(folder)
    stage(folder / "train", further=(_track(first),)).run(stop_at=5)
    first.finish("FAILED")
    first.client.delete_run(first.run_id)
    second = _open(folder)
    resumed = stage(folder / "train", init=9, further=(_track(second),)).run()

    assert second.run_id != first.run_id
    assert "was deleted; a new one is begun" in caplog.text
    assert _equal(_metrics(second), _expected(resumed.history))


def test_a_store_that_fails_otherwise_is_not_taken_for_a_deleted_run(folder, monkeypatch):
    from mlflow.exceptions import MlflowException

    _open(folder)
    again = MLflowRun(folder=folder)

    def fail(*_, **__):
        raise MlflowException("database is locked")

    monkeypatch.setattr(again.client, "update_run", fail)
    with pytest.raises(MlflowException, match="locked"):
        again.start(parameters={}, tags={})


def test_nothing_identifies_person_or_machine(stage, folder):
    run = _open(folder)
    stage(folder / "train", epochs=1, further=(_track(run),)).run()
    run.finish("FINISHED")
    tags = run.client.get_run(run.run_id).data.tags

    assert tags["mlflow.user"] == tags["mlflow.source.name"] == "medmd"
    assert tags["method"] == "remd"
    text = json.dumps(dict(tags))
    for secret in (getpass.getuser(), os.path.expanduser("~"), str(folder), sys.argv[0], os.getcwd()):  # noqa: PTH109, PTH111
        assert secret not in text
    assert run.client.get_run(run.run_id).info.user_id in ("", "medmd", "unknown", None)


def test_switched_off_it_does_nothing(stage, tmp_path):
    run = MLflowRun(folder=tmp_path, enabled=False)
    run.start(parameters={"a": 1}, tags={})
    stage(tmp_path / "train", epochs=1, further=(_track(run),)).run()
    run.log([Entry("train", 1, 1, "loss", 1.0)])
    run.log_file(tmp_path)
    run.finish("FINISHED")

    assert run.last_steps() == {}
    assert run.run_id is None
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_files_and_folders_become_artifacts(folder):
    run = _open(folder)
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("<p>")
    (folder / "table.csv").write_text("a\n1\n")
    run.log_file(folder / "table.csv")
    run.log_file(folder / "report", "report")
    run.log_file(folder / "absent.txt")
    assert run.settle()

    assert sorted(item.path for item in run.client.list_artifacts(run.run_id)) == ["report", "table.csv"]
    assert [item.path for item in run.client.list_artifacts(run.run_id, "report")] == ["report/index.html"]
    assert (folder / "mlruns" / run.run_id / "artifacts" / "table.csv").read_text() == "a\n1\n"


def test_the_standard_variable_names_the_store(folder, tmp_path, monkeypatch, empty_store):
    central = tmp_path / "central.db"
    central.write_bytes(empty_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{central}")
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    run = _open(other)

    assert not run.is_local
    assert run.uri == f"sqlite:///{central}"
    assert not (other / "mlruns.db").exists()
    assert run.client.get_run(run.run_id).info.status == "RUNNING"
    # A run of another store is not continued here, and no second one begun without a word.
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (other / "mlruns.db").write_bytes(empty_store)
    with pytest.raises(MedmdError, match="MLFLOW_TRACKING_URI: the run of this folder is tracked in a server"):
        _open(other)
    (other / "mlflow_run.json").unlink()
    local = _open(other)
    assert local.run_id != run.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{central}")
    with pytest.raises(MedmdError, match=r"the folder's own database.*\(unset\)"):
        _open(other)


def test_many_numbers_go_in_several_calls(folder):
    run = _open(folder)
    run.log([Entry("train", 1, step, "loss", step / 2) for step in range(2000)])

    assert _metrics(run)["train/loss"] == [(step, step / 2) for step in range(2000)]


def test_few_calls_are_made(stage, folder, monkeypatch):
    run = _open(folder)
    sizes = []
    log = run.log
    monkeypatch.setattr(run, "log", lambda entries: sizes.append(len(entries)) or log(entries))
    stage(folder / "train", log_every=1, further=(lambda r: TrackMLflow(run=run, recorder=r, every=10**6),)).run()

    assert len(sizes) == 3


def test_telemetry_is_off_even_if_mlflow_was_imported_before():
    code = (
        "import mlflow.telemetry as t, medmd.handlers, os;"
        "from mlflow.telemetry.client import get_telemetry_client as c;"
        "print(c(), os.environ['MLFLOW_DISABLE_TELEMETRY'], os.environ['DO_NOT_TRACK'],"
        " os.environ['MLFLOW_DISABLE_SCHEMA_DETAILS'])"
    )
    hidden = ("PYTEST_CURRENT_TEST", "CI", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_DISABLE_SCHEMA_DETAILS")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["None", "true", "true", "true"]


def test_a_setting_of_the_user_stays(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_SCHEMA_DETAILS", "false")
    silence_telemetry()

    assert os.environ["MLFLOW_DISABLE_SCHEMA_DETAILS"] == "false"


def test_the_store_catches_up_only_once(stage, folder):
    first = _open(folder)
    stage(folder / "train", further=(_track(first),)).run(stop_at=5)
    second = _open(folder)
    asked = []
    last_steps = second.last_steps
    second.last_steps = lambda: asked.append(1) or last_steps()
    resumed = stage(folder / "train", init=3, further=(_track(second),))
    epochs = []
    resumed.trainer.add_event_handler(Events.EPOCH_STARTED, lambda e: epochs.append(e.state.epoch))
    resumed.run()

    assert epochs == [2, 3]
    assert asked == [1]


def _away(*_, **__):
    raise ConnectionError("connection refused")


def test_what_waits_at_the_end_is_sent_by_the_next_start(folder, monkeypatch, caplog):
    first = _open(folder, pause=60)
    monkeypatch.setattr(first.client, "log_batch", _away)
    first.log([Entry("train", 1, step, "loss", step / 3) for step in range(1, 31)])
    (folder / "table.csv").write_text("old")
    first.log_file(folder / "table.csv", "tables")
    first.log_values({"test/mae": 0.5})
    first.finish("FINISHED")
    assert "4 records (31 numbers, 1 files and how the run ended) wait in tracking_pending" in caplog.text
    assert first.client.get_run(first.run_id).info.status == "RUNNING"
    (folder / "table.csv").unlink()

    second = _open(folder)
    assert second.run_id == first.run_id
    assert second.client.get_run(second.run_id).info.status == "RUNNING"
    assert second.last_steps() == {"train/loss": 30, "test/mae": 0}
    second.log_values({"test/mae": 0.5, "test/r2": 0.25})
    second.finish("FAILED")
    found = second.client.get_run(second.run_id)
    assert found.info.status == "FAILED"
    points = {key: second.client.get_metric_history(second.run_id, key) for key in found.data.metrics}
    assert [(point.step, point.value) for point in points["train/loss"]] == [(n, n / 3) for n in range(1, 31)]
    assert [len(points[key]) for key in ("test/mae", "test/r2")] == [1, 1]
    assert (folder / "mlruns" / second.run_id / "artifacts" / "tables" / "table.csv").read_text() == "old"
    assert not (folder / "tracking_pending").exists()


def test_a_worker_process_sends_nothing(folder, monkeypatch):
    run = _open(folder)
    monkeypatch.setattr("os.getpid", lambda: 1)
    run.log([Entry("train", 1, 1, "loss", 1.0)])
    run.log_file(folder / "mlflow_run.json")
    run.finish("FAILED")
    monkeypatch.undo()
    assert run.settle()
    assert run.client.get_run(run.run_id).info.status == "RUNNING"
    assert run.client.get_run(run.run_id).data.metrics == {}
    run.finish("FINISHED")


def test_an_experiment_that_another_run_made_in_the_same_moment_is_used(folder, monkeypatch):
    first = _open(folder)
    first.finish("FINISHED")
    other = MLflowRun(folder=folder)
    asked, find = [], other.client.get_experiment_by_name
    monkeypatch.setattr(
        other.client, "get_experiment_by_name", lambda name: find(name) if asked or asked.append(1) else None
    )
    assert other.experiment_id() == "1"


def test_records_of_an_earlier_run_are_told(folder, caplog):
    (folder / "tracking_pending").mkdir()
    (folder / "tracking_pending" / "abc.jsonl").write_text('{"kind": "status"}\n')
    _open(folder).finish("FINISHED")
    assert "holds records of an earlier MLflow run" in caplog.text
    assert [path.name for path in (folder / "tracking_pending").iterdir()] == ["abc.jsonl"]


def test_requests_are_impatient_as_long_as_the_run_is_open(folder, monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    run = _open(folder)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    run.finish("FINISHED")
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
    broken = MLflowRun(folder=folder)
    monkeypatch.setattr(broken.client, "update_run", _away)
    with pytest.raises(ConnectionError):
        broken.start(parameters={}, tags={})
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
