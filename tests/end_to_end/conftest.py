"""Whole runs of the bundle in this process, on a small phantom; folders and login bear words that must not travel."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
# In the folders of data and results and in the login: none may reach what is tracked or handed over.
CANARIES = ("mueller-hans", "schmidt-anna", "weber-login")
SHORT = {"device": "cpu", "pretrain_epochs": 2, "train_epochs": 2}


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 eyes, some without a modality."""
    from medmd.data import PhantomCohort

    folder = tmp_path_factory.mktemp(CANARIES[0]) / "eyes"
    PhantomCohort(40, 0, missing={"fundus": 0.2}).write(folder, contact_sheet=False)
    return folder


@pytest.fixture(scope="session")
def flow(phantom: Path) -> Callable[..., Any]:
    """Makes an initialised workflow of `train.json` and overlays: `flow(output_dir, *overlays, key=value)`."""
    from monai.bundle import ConfigWorkflow

    def make(output_dir: Path, *overlays: str, initialize: bool = True, **settings: Any) -> Any:
        workflow = ConfigWorkflow(
            config_file=[str(BUNDLE / name) for name in ("train.json", "presets/tiny.json", *overlays)],
            meta_file=str(BUNDLE / "metadata.json"),
            logging_file=False,
            workflow_type="train",
            **{**SHORT, "dataset_dir": str(phantom), "output_dir": str(output_dir), **settings},
        )
        if initialize:
            workflow.initialize()
        return workflow

    return make


@pytest.fixture(scope="session")
def finished(flow: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of all stages, tracked in its own database."""
    folder = tmp_path_factory.mktemp("results") / CANARIES[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            patch.setenv(name, CANARIES[2])
        flow(folder).run()
    return folder


class TrackingServer:
    """A real `mlflow server` on the loopback, with its own database and artifacts, that can be killed and restarted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, or again at the same address, and wait until it answers."""
        self.kill()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}", "--workers", "1"]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")]
        # The server runs its web server by name.
        paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = {**os.environ, "PATH": paths, "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
        # Seven processes that start with it and serve nothing here.
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
        environment.pop("MLFLOW_TRACKING_URI", None)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(6000):
            if self._answers():
                return
            assert self._process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        """End it and its workers at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@pytest.fixture(scope="session")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    """One server for all tests; who kills it starts it again."""
    server = TrackingServer(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.kill()
