"""Tracking in MLflow: one run for both stages, closed truthfully, with nothing in it that identifies anyone."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ignite.engine import Engine, Events

from medmd.handlers._history import Entry, RecordHistory
from medmd.utils import MedmdError, read_json, write_json

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOGGER = logging.getLogger(__name__)
_BATCH = 900  # MLflow takes at most 1,000 metrics in one call.
_LONGEST_PARAMETER = 500
_MEMORY = "mlflow_run.json"
_CREDENTIALS = re.compile(r"://[^/@\s]+@")
_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# Without these MLflow's own defaults would be filled in: the login and the path of the program.
NEUTRAL_TAGS = {"mlflow.user": "medmd", "mlflow.source.name": "medmd", "mlflow.source.type": "PROJECT"}


def _speaking(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: MLflowRun, *args: Any, **options: Any) -> Any:
        with self.speaking():
            return method(self, *args, **options)

    return call


class MLflowRun:
    """One MLflow run that lives as long as a training, over both stages and every resume.

    The store is the one named by MLflow's standard variable `MLFLOW_TRACKING_URI`; without it, a SQLite file in the
    run's folder. MONAI's handler leaves a crashed run RUNNING, continues any unfinished run of that name, and logs
    one call a parameter; hence this one.

    Args:
        folder: of the training; the id of the run is kept there, so that a resumed training continues it.
        experiment: name of the experiment.
        name: name of the run.
        enabled: false turns all calls into no-ops.

    Attributes:
        run_id: of the run once it was started.
        goes_on: whether this folder began its run earlier.
        uri: where the runs are stored.
        is_local: whether that is the SQLite file in the folder.
    """

    def __init__(
        self, *, folder: str | Path, experiment: str = "remd", name: str = "remd", enabled: bool = True
    ) -> None:
        self.folder = Path(folder)
        self.experiment = experiment
        self.name = name
        self.enabled = enabled
        self.run_id: str | None = None
        self.goes_on = False
        self.flushes: list[Callable[[], None]] = []
        self._client: MlflowClient | None = None
        silence_telemetry()
        # Read once: MLflow's own set_tracking_uri writes the variable.
        named = os.environ.get("MLFLOW_TRACKING_URI")
        self.is_local = not named
        self.uri = named or f"sqlite:///{(self.folder / 'mlruns.db').resolve()}"

    @property
    def client(self) -> MlflowClient:
        """The client; the first use imports MLflow and opens the store."""
        if self._client is None:
            from mlflow import MlflowClient

            # A new SQLite store logs each step of its schema's history.
            logging.getLogger("alembic").setLevel(logging.WARNING)
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
            self._client = MlflowClient(tracking_uri=self.uri)
        return self._client

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Around calls to a server: their errors become one sentence without the credentials of its address.

        Raises:
            MedmdError: the server cannot be reached or refuses the call.
        """
        try:
            yield
        except Exception as error:
            if self.is_local or isinstance(error, MedmdError):
                raise
            reason = _CREDENTIALS.sub("://", f"{type(error).__name__}: {error}").splitlines()[0]
            msg = (
                f"The MLflow server {self._store()} cannot be used ({reason}). Check MLFLOW_TRACKING_URI, or train "
                "with --track False."
            )
            raise MedmdError(msg) from None

    @_speaking
    def start(self, *, parameters: dict[str, Any], tags: dict[str, str]) -> None:
        """Open the run, or the one that this folder began earlier, and log its parameters.

        Args:
            parameters: flat; values are written as text.
            tags: further tags of the run.
        """
        if not self.enabled:
            return
        memory = self.folder / _MEMORY
        self.goes_on = memory.exists()
        experiment, known = self.experiment_id(), self.known_run()
        if known is not None and self._reopen(known):
            return
        run = self.client.create_run(experiment, run_name=self.name, tags={**tags, **NEUTRAL_TAGS}, start_time=_now())
        self.run_id = run.info.run_id
        write_json(memory, {"run_id": self.run_id, "store": self._store(), "experiment": self.experiment})
        self._log_parameters(parameters)

    @_speaking
    def log(self, entries: list[Entry]) -> None:
        """Log numbers of the history, as `<stage>/<name>` at the step of their iteration."""
        if self.run_id is None:
            return
        from mlflow.entities import Metric

        now = _now()
        metrics = [Metric(_metric(entry), entry.value, now, entry.iteration) for entry in entries]
        for start in range(0, len(metrics), _BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + _BATCH])

    @_speaking
    def last_steps(self) -> dict[str, int]:
        """By name of a metric the last step that the store holds."""
        if self.run_id is None:
            return {}
        names = self.client.get_run(self.run_id).data.metrics
        return {name: max(m.step for m in self.client.get_metric_history(self.run_id, name)) for name in names}

    @_speaking
    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """Log a file, or a folder with all that is in it, below `folder` of the run's artifacts."""
        if self.run_id is None or not Path(path).exists():
            return
        if Path(path).is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder)
        else:
            self.client.log_artifact(self.run_id, str(path), folder)

    @_speaking
    def finish(self, status: str) -> None:
        """Send what still waits and close the run as FINISHED, FAILED or KILLED."""
        if self.run_id is None:
            return
        try:
            for flush in self.flushes:
                flush()
        finally:
            self.client.set_terminated(self.run_id, status=status)

    def known_run(self) -> str | None:
        """The run that this folder began in this store, or `None`."""
        path = self.folder / _MEMORY
        known = read_json(path) if path.exists() else {}
        return str(known["run_id"]) if known.get("store") == self._store() else None

    def _reopen(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self.client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in _NO_SUCH_RUN:
                raise
            _LOGGER.warning("The MLflow run of this folder was deleted; a new one is begun.")
            return False
        self.run_id = run_id
        return True

    def _store(self) -> str:
        # Only what tells stores apart: a tracking address may hold a password, and a path a name.
        if self.is_local:
            return "folder"
        parts = urlsplit(self.uri)
        return f"{parts.scheme}://{parts.hostname or ''}:{parts.port or ''}"

    def experiment_id(self) -> str:
        """The experiment in the store, made when absent; its artifacts lie in the run's folder when the store does.

        Raises:
            MedmdError: the folder was moved since: the store knows its artifacts at the old place only.
        """
        place = (self.folder / "mlruns").resolve().as_uri() if self.is_local else None
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            return str(self.client.create_experiment(self.experiment, artifact_location=place))
        if place is not None and found.artifact_location != place:
            msg = (
                f"{self.folder}: this run's folder was moved, but its MLflow store holds the artifacts' old place. "
                "Move it back. The folder model/ alone may be put anywhere."
            )
            raise MedmdError(msg)
        return str(found.experiment_id)

    def _log_parameters(self, parameters: dict[str, Any]) -> None:
        from mlflow.entities import Param

        found = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in parameters.items()]
        for start in range(0, len(found), 100):
            self.client.log_batch(str(self.run_id), params=found[start : start + 100])


class TrackMLflow:
    """Sends what a `RecordHistory` records to the MLflow run, a batch of many numbers at a time.

    One call costs some 25 ms on a local store, so that a call in each iteration would double the time of a small step.

    Args:
        run: the run.
        recorder: the recorder of the same trainer.
        every: numbers that gather before a call; the end of an epoch makes one too.
    """

    def __init__(self, *, run: MLflowRun, recorder: RecordHistory, every: int = 500) -> None:
        self.run = run
        self.recorder = recorder
        self.every = every
        self._waiting: list[Entry] = []
        self._sent: dict[str, int] = {}
        self._is_level = False
        recorder.listeners.append(self._take)
        run.flushes.append(self.flush)

    def attach(self, engine: Engine) -> None:
        """Register on the trainer, after the recorder."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self._level())
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self.flush())

    def _level(self) -> None:
        """Bring store and history of a resumed run to one level, once the checkpoint was read.

        A run that was stopped may have recorded numbers that it did not send, and sent numbers that come again since
        it goes on from an earlier iteration.
        """
        if not self._is_level and self.run.goes_on:
            self._sent = self.run.last_steps()
            self._waiting = [entry for entry in self.recorder.history if entry.stage == self.recorder.stage]
        self._is_level = True

    def _take(self, entries: list[Entry]) -> None:
        self._waiting.extend(entries)
        if len(self._waiting) >= self.every:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        self.run.log([entry for entry in waiting if entry.iteration > self._sent.get(_metric(entry), -1)])


def silence_telemetry() -> None:
    """Tell MLflow to report nothing to anybody and to keep data out of its error texts."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
    if "mlflow.telemetry" in sys.modules:
        # MONAI's engines import MLflow, which then has made its client before it could be told.
        sys.modules["mlflow.telemetry"].set_telemetry_client()


def _metric(entry: Entry) -> str:
    return f"{entry.stage}/{entry.name}"


def _now() -> int:
    return int(time.time() * 1000)
