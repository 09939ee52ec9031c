"""A benchmark on a Dask cluster, one of whose workers is killed half-way."""

from __future__ import annotations

import threading
import time

import pytest
from benchmark_cohort import METHODS, small_plan
from dask_cluster import Cluster

from medmd.benchmark import run_plan
from medmd.report import read_predictions

pytest.importorskip("distributed")


@pytest.fixture
def cluster(tmp_path):
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_cluster_gives_the_predictions_of_one_process_though_a_worker_dies(tmp_path, cluster):
    plan = small_plan(tmp_path, methods=METHODS, seeds=3)
    alone = run_plan(plan, tmp_path / "alone", jobs=0, tracking=False)
    stop = threading.Event()

    def kill_after_the_first_run():
        while not stop.wait(0.05):
            if list((tmp_path / "work" / "runs").glob("*/*/*/result.json")):
                cluster.kill_worker()
                return

    killer = threading.Thread(target=kill_after_the_first_run)
    killer.start()
    try:
        found = run_plan(plan, tmp_path / "work", scheduler=cluster.address, tracking=False)
    finally:
        stop.set()
        killer.join()
    for _ in range(100):
        if cluster.processes[1].poll() is not None:
            break
        time.sleep(0.1)
    assert cluster.processes[1].returncode is not None, "the worker was not killed"
    assert found.problems == []
    assert list(found.results["status"]) == ["finished"] * 6
    for folder in alone.results["folder"]:
        ours, theirs = (read_predictions(tmp_path / where / folder / "predictions.csv") for where in ("work", "alone"))
        assert ours.equals(theirs), folder
