"""Whole runs against a real tracking server that is killed and restarted: nothing lost, nothing twice, the truth."""

import csv
from pathlib import Path

import pytest
from ignite.engine import Events
from mlflow import MlflowClient

from medmd.utils import MedmdError, read_json
from medmd.workflows import user_error


@pytest.fixture
def server(tracking_server, monkeypatch):
    """A server that is up at the start, and is brought up again for those that come after."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_server.uri)
    if not tracking_server._answers():
        tracking_server.start()
    return tracking_server


def stored(client, run_id):
    """Every (name, step, value) that the server holds, sorted, with repeats."""
    names = client.get_run(run_id).data.metrics
    points = [point for name in names for point in client.get_metric_history(run_id, name)]
    return sorted((point.key, point.step, repr(point.value)) for point in points)


def expected(folder):
    """The same of the history."""
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    value = {"": "nan"}
    return sorted(
        (f"{r['stage']}/{r['name']}", int(r["iteration"]), repr(float(value.get(r["value"], r["value"])))) for r in rows
    )


def artifacts(client, run_id, path=None):
    for item in client.list_artifacts(run_id, path):
        yield from artifacts(client, run_id, item.path) if item.is_dir else [item.path]


def check_all_there(client, folder):
    run_id = read_json(folder / "mlflow_run.json")["run_id"]
    points = stored(client, run_id)
    assert [point for point in points if not point[0].startswith("test/")] == expected(folder)
    overall = read_json(folder / "report" / "metrics.json")["overall"]
    final = {name: (step, value) for name, step, value in points if name.startswith("test/")}
    assert len(final) == sum(name.startswith("test/") for name, *_ in points)
    assert final["test/fusion_mae"] == (0, repr(overall["fusion"]["mae"]["estimate"]))
    found = set(artifacts(client, run_id))
    local = {f"report/{path.relative_to(folder / 'report').as_posix()}" for path in (folder / "report").rglob("*.*")}
    assert local <= found
    assert {"config.json", "run.json", "history.csv", "predictions.csv", "model/model.safetensors"} <= found
    assert {name.split("/")[1] for name in found if name.startswith("checkpoints/")} == {"pretrain", "train"}
    sent = client.download_artifacts(run_id, "history.csv")
    assert Path(sent).read_bytes() == (folder / "history.csv").read_bytes()
    assert not (folder / "tracking_pending").exists()
    return client.get_run(run_id)


def on(workflow, stage, epoch, call):
    trainer = workflow.parser.get_parsed_content(f"{stage}#trainer")
    trainer.add_event_handler(Events.EPOCH_COMPLETED(once=epoch), lambda _: call())


def warnings(caplog):
    return [record.message for record in caplog.records if record.name.startswith("medmd.handlers._mlflow")]


def test_a_server_that_goes_away_for_good_ends_no_training_and_the_next_start_sends_the_rest(
    flow, server, tmp_path, caplog
):
    folder = tmp_path / "run"
    workflow = flow(folder, log_every=1)
    on(workflow, "pretrain", 1, server.kill)
    workflow.run()
    told = warnings(caplog)
    assert len(told) == 2, told
    assert f"The MLflow server {server.uri} cannot be used (connection" in told[0]
    assert "training goes on" in told[0]
    waiting = [line for path in (folder / "tracking_pending").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert "Start the same command again" in told[1]
    assert 0 < int(told[1].split(" records")[0].split()[-1]) <= len(waiting)
    assert (folder / "report" / "report.html").exists()

    server.start()
    client = MlflowClient(server.uri)
    run_id = read_json(folder / "mlflow_run.json")["run_id"]
    assert client.get_run(run_id).info.status == "RUNNING"
    flow(folder, log_every=1).run()
    run = check_all_there(client, folder)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert len(client.search_runs([run.info.experiment_id], f"attributes.run_id = '{run_id}'")) == 1


@pytest.mark.slow
def test_a_server_that_comes_back_in_the_middle_gets_everything_once(flow, server, tmp_path, caplog):
    folder = tmp_path / "run"
    workflow = flow(folder, log_every=1, experiment="back")
    on(workflow, "pretrain", 1, server.kill)
    on(workflow, "train", 1, server.start)
    workflow.run()
    told = warnings(caplog)
    assert len(told) == 2, told
    assert "can be reached again" in told[1]
    client = MlflowClient(server.uri)
    assert check_all_there(client, folder).info.status == "FINISHED"


@pytest.mark.slow
def test_a_crash_while_the_server_is_away_and_a_resume_when_it_is_back(flow, server, tmp_path):
    folder = tmp_path / "run"
    workflow = flow(folder, log_every=1, experiment="crash")

    def crash():
        raise RuntimeError("out of memory")

    on(workflow, "pretrain", 1, server.kill)
    on(workflow, "train", 1, crash)
    with pytest.raises(RuntimeError):
        workflow.run()
    with pytest.raises((MedmdError, RuntimeError)) as refused:
        flow(folder, log_every=1, experiment="crash").run()
    assert f"The MLflow server {server.uri} cannot be used (connection refused)" in str(user_error(refused.value))
    server.start()
    client = MlflowClient(server.uri)
    flow(folder, log_every=1, experiment="crash").run()
    run = check_all_there(client, folder)
    assert run.info.status == "FINISHED"
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_a_server_that_is_down_at_the_start_is_one_sentence(flow, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://anna:secret@127.0.0.1:9")
    with pytest.raises((MedmdError, RuntimeError)) as refused:
        flow(tmp_path / "run", stages=["pretrain"]).run()
    text = str(user_error(refused.value))
    assert text.startswith("The MLflow server http://127.0.0.1:9 cannot be used (connection refused).")
    assert "--track False" in text
    assert len(text.splitlines()) == 1
    assert not list((tmp_path / "run").glob("checkpoints/*/*"))
