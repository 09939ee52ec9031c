"""A Dask cluster of real processes on the loopback."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil


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
