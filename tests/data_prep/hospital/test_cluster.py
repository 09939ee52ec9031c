"""The same work on a Dask cluster, one of whose workers is killed half-way."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from clinical_dicom_export import default_eyes, write_pacs_export

from data_prep.hospital import convert

pytest.importorskip("distributed")
KEY = b"a key of at least 16 bytes"
SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\n"


class Cluster:
    """A scheduler and two worker processes on the loopback, killable one by one."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.address = ""

    def start(self):
        file = self.folder / "scheduler.json"
        self._run("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
        self._wait(lambda: file.exists() and file.stat().st_size > 0)
        import json

        self.address = json.loads(file.read_text())["address"]
        for number in range(2):
            self._run(
                "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--no-nanny",
                "--local-directory", str(self.folder / f"worker{number}"),
            )  # fmt: skip

    def kill_worker(self):
        self.processes[1].send_signal(signal.SIGKILL)

    def stop(self):
        children = [child for each in self.processes for child in _family(each.pid)]
        for process in [*children, *self.processes]:
            process.kill()
        for process in self.processes:
            process.wait()

    def _run(self, *words):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__ADMIN__LOG_LENGTH": "100"}
        log = (self.folder / f"{words[0]}{len(self.processes)}.log").open("wb")
        with log:
            command = [sys.executable, "-m", "dask", *words]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment))

    def _wait(self, ready):
        for _ in range(1200):
            if ready():
                return
            time.sleep(0.1)
        raise AssertionError("the scheduler does not start")


def _family(pid):
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


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


def test_a_cluster_that_loses_a_worker_gives_the_bytes_of_one_process(tmp_path, cluster, snapshot, pool, monkeypatch):
    write_pacs_export(tmp_path / "MUELLER-HANS", eyes=default_eyes(4), shape=(6, 32, 24))
    (tmp_path / "site.yaml").write_text(SITE)
    call = {"config": tmp_path / "site.yaml", "key": KEY}
    convert(tmp_path / "MUELLER-HANS", tmp_path / "alone", **call)
    monkeypatch.undo()  # Back to real pools.

    killed = []
    from data_prep.hospital import _scan_export

    real = _scan_export.Index.put

    def put(self, scanned, *, stamp):
        if len(killed) == 5:
            cluster.kill_worker()
        killed.append(scanned.pointer)
        real(self, scanned, stamp=stamp)

    monkeypatch.setattr(_scan_export.Index, "put", put)
    convert(tmp_path / "MUELLER-HANS", tmp_path / "out", scheduler=cluster.address, **call)

    assert len(killed) == 22
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "alone")
    logs = b"".join(path.read_bytes() for path in cluster.folder.glob("*.log"))
    assert logs
    assert b"MUELLER" not in logs
    assert b"HOSP-0" not in logs
