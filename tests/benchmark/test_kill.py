"""Killed at any moment and started again: nothing that was finished is lost or run again, and results are equal."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from benchmark_cohort import METHODS, plan_content, small_plan

from medmd.benchmark import load_runs, run_plan

SPACE = {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}
PLAN = {"methods": METHODS, "seeds": 3, "tuning": {"trials": 2, "space": SPACE}}


def start(folder, *options):
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan_content(folder, **PLAN)))
    words = ["benchmark", str(folder / "plan.yaml"), "--work", str(folder / "work"), "--no-tracking", *options]
    command = [sys.executable, "-m", "medmd.cli", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(process, done, seconds=240):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        assert process.poll() is None, "it has ended by itself"
        time.sleep(0.02)


def ended(folder):
    return sorted((folder / "work" / "runs").glob("*/*/fold*/result.json"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_plan(small_plan(folder, **PLAN), folder / "work", jobs=0, tracking=False)
    return {path.parent.relative_to(folder): (path.parent / "predictions.csv").read_bytes() for path in ended(folder)}


def test_a_killed_benchmark_goes_on_and_ends_equal(tmp_path, whole):
    stops = [
        ("1", lambda: list((tmp_path / "work" / "tuning").rglob("*.json"))),
        ("0", lambda: len(ended(tmp_path)) >= 2),
    ]
    kept = {}
    for jobs, stop in stops:
        process = start(tmp_path, "--jobs", jobs)
        wait_for(process, stop)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it has ended by itself"
        psutil.wait_procs(children, timeout=60)
        now = {path: path.stat().st_mtime_ns for path in ended(tmp_path)}
        assert kept.items() <= now.items()
        kept = now
    for path in (tmp_path / "work").rglob(".tmp-*"):
        # Those of the last minutes may still be written by somebody.
        os.utime(path, (0, 0))
    run_plan(small_plan(tmp_path, **PLAN), tmp_path / "work", jobs=0, tracking=False)
    assert kept.items() <= {path: path.stat().st_mtime_ns for path in ended(tmp_path)}.items()

    found = {p.parent.relative_to(tmp_path): (p.parent / "predictions.csv").read_bytes() for p in ended(tmp_path)}
    assert found == whole
    assert load_runs(tmp_path / "work").problems == []
    assert not list((tmp_path / "work").rglob(".tmp-*"))


def test_ctrl_c_ends_it_with_its_workers(tmp_path):
    process = start(tmp_path, "--jobs", "1")
    wait_for(process, lambda: list((tmp_path / "work" / "tuning").rglob("*.json")))
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=60) == 130
    assert children
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
