"""A run stands in its folder whole or not at all, whatever the disk and other processes do."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest
from benchmark_cohort import METHODS, small_plan

from medmd.benchmark import RunKey, Work, write_run
from medmd.benchmark import _worker as worker
from medmd.benchmark._data import find_data
from medmd.benchmark._ended import Ended
from medmd.benchmark._schedule import Start, missing_runs
from medmd.benchmark._write_run import HISTORY_COLUMNS, LONGEST_WRITE, remove_leftovers
from medmd.report import read_predictions
from medmd.utils import WriteError, read_json

KEY = RunKey("d", "m", 0, 0)


def table(prediction=2.0):
    row = {"case_id": "a", "patient_id": "p", "split": "testing", "laterality": "", "target": 1.0}
    return pd.DataFrame([{**row, "fusion": prediction}])


def write(work, prediction=2.0, **result):
    history = pd.DataFrame([["train", 1, 1, "loss", 0.5]], columns=HISTORY_COLUMNS)
    return write_run(work, KEY, {"status": "finished", **result}, predictions=table(prediction), history=history)


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/someone/secret")


def odd(*_, **__):
    raise OSError(errno.EMLINK, os.strerror(errno.EMLINK), "/home/someone/secret")


@pytest.mark.parametrize("fault", [full, odd])
@pytest.mark.parametrize("place", ["tempfile.mkdtemp", "pandas.DataFrame.to_csv", "pathlib.Path.rename"])
def test_what_the_disk_refuses_is_told_without_a_path(tmp_path, monkeypatch, place, fault):
    with monkeypatch.context() as patch:
        patch.setattr(place, fault)
        with pytest.raises(WriteError) as caught:
            write(Work(tmp_path))
    text = str(caught.value)

    assert "secret" not in text
    assert str(tmp_path) not in text
    assert ("no space is left on its disk" if fault is full else "Too many links") in text
    assert "--work" in text
    assert Work(tmp_path).status(KEY) is None
    assert list((tmp_path / "runs" / "d" / "m").iterdir()) == []


@pytest.fixture
def job(tmp_path):
    plan, work = small_plan(tmp_path, methods=METHODS[:1], seeds=1), Work(tmp_path / "work")
    return missing_runs(plan, work, Start(), find_data(plan, work, Start()))[0]


def test_a_worker_raises_nothing_when_the_disk_is_full(job, monkeypatch):
    monkeypatch.setattr(worker, "fit", lambda job, splits: Ended(predictions=table()))
    monkeypatch.setattr("tempfile.mkdtemp", full)
    outcome = worker.work_on(job)

    assert outcome.status == "broken"
    assert "no space is left" in outcome.message


def test_a_worker_raises_nothing_when_predictions_are_none(job, monkeypatch):
    monkeypatch.setattr(worker, "fit", lambda job, splits: Ended(predictions=pd.DataFrame({"case_id": ["a"]})))
    assert worker.work_on(job).status == "failed"
    assert job.place.status(job.key) == "failed"


def test_a_run_that_is_finished_stays(tmp_path):
    """MLflow may have been told of it; and a worker that died after it had written was not in vain."""
    work = Work(tmp_path)
    folder = write(work, 2.0, mlflow_run_id="told")
    write(work, 3.0)
    write_run(work, KEY, {"status": "failed"})

    assert read_json(folder / "result.json")["mlflow_run_id"] == "told"
    assert list(read_predictions(folder / "predictions.csv")["fusion"]) == [2.0]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("status", ["finished", "failed"])
def test_a_run_that_another_process_finishes_at_the_same_moment_is_no_error(tmp_path, monkeypatch, status):
    other = Work(tmp_path / "other")
    ready = write_run(other, KEY, {"status": status, "mlflow_run_id": "theirs"}, predictions=table(3.0))
    rename, seen = Path.rename, []

    def late(self, target):
        if self.name.startswith(".tmp-") and not seen:
            seen.append(target)
            shutil.copytree(ready, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    folder = write(Work(tmp_path / "work"), 2.0)

    assert seen == [folder]
    assert list(read_predictions(folder / "predictions.csv")["fusion"]) == [3.0 if status == "finished" else 2.0]
    assert list(folder.parent.iterdir()) == [folder]


def test_many_that_write_one_run_leave_one(tmp_path):
    work, raised = Work(tmp_path), []

    def several(number):
        try:
            for _ in range(20):
                write_run(work, KEY, {"status": "failed"})
            write(work, float(number))
        except Exception as error:  # noqa: BLE001 - whatever it is
            raised.append(error)

    threads = [threading.Thread(target=several, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert raised == []
    assert work.status(KEY) == "finished"
    assert [path.name for path in work.run(KEY).parent.iterdir()] == ["fold0-seed0"]


def test_only_leftovers_that_nobody_can_still_be_writing_are_removed(tmp_path):
    method = tmp_path / "runs" / "d" / "m"
    for name in (".tmp-old", ".tmp-young", ".old-old", ".old-young", "fold0-seed0"):
        (method / name).mkdir(parents=True)
        (method / name / "predictions.csv").touch()
    for name in (".tmp-old", ".old-old", "fold0-seed0"):
        os.utime(method / name, (0, (method / name).stat().st_mtime - LONGEST_WRITE - 60))
    remove_leftovers(Work(tmp_path))

    assert sorted(path.name for path in method.iterdir()) == [".old-young", ".tmp-young", "fold0-seed0"]
