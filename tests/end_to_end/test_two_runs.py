"""Two runs at the same time in one store, with the same names, each in a process of its own: they never mix."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow import MlflowClient

# What two trainings do to the store, started by the same signal.
RUN = """
import sys, time
from pathlib import Path
from medmd.handlers import MLflowRun
from medmd.handlers._history import Entry

folder, number = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir()
(folder / "history.csv").write_text(f"number {number}")
import mlflow
print("ready", flush=True)
sys.stdin.readline()
run = MLflowRun(folder=folder, experiment="same", name="same")
run.start(parameters={"number": number}, tags={})
for step in range(1, 41):
    run.log([Entry("train", 1, step, "loss", float(number * 1000 + step))])
    time.sleep(0.01)
run.log_file(folder / "history.csv")
run.finish("FINISHED" if number == 0 else "FAILED")
print(run.run_id, flush=True)
"""


def side_by_side(folder, uri):
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder / f"run{number}"), str(number)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    try:
        assert [process.stdout.readline() for process in started] == ["ready\n"] * 2
        with ThreadPoolExecutor(2) as both:
            ends = list(both.map(lambda process: process.communicate("go\n"), started))
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0, 0], ends
    return [out.split()[-1] for out, _ in ends]


def check(client, ids):
    assert len(set(ids)) == 2
    for number, run_id in enumerate(ids):
        run = client.get_run(run_id)
        assert run.info.status == ("FINISHED", "FAILED")[number]
        assert run.data.params == {"number": str(number)}
        curve = client.get_metric_history(run_id, "train/loss")
        assert sorted((p.step, p.value) for p in curve) == [(s, float(number * 1000 + s)) for s in range(1, 41)]
        path = client.download_artifacts(run_id, "history.csv")
        with open(path) as file:  # noqa: PTH123 - a text from MLflow
            assert file.read() == f"number {number}"
    experiment = client.get_run(ids[0]).info.experiment_id
    assert {run.info.run_id for run in client.search_runs([experiment])} == set(ids)


def test_in_one_new_database(tmp_path):
    uri = f"sqlite:///{tmp_path / 'central.db'}"
    check(MlflowClient(uri), side_by_side(tmp_path, uri))


@pytest.mark.slow
def test_on_one_server(tmp_path, tracking_server):
    if not tracking_server._answers():
        tracking_server.start()
    check(MlflowClient(tracking_server.uri), side_by_side(tmp_path, tracking_server.uri))
