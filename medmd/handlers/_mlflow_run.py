"""One MLflow run for both stages: it outlives a server that goes away, and is closed truthfully."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medmd.handlers._history import Entry
from medmd.handlers._mlflow_buffer import Buffer
from medmd.handlers._mlflow_delivery import Delivery
from medmd.handlers._mlflow_sender import Sender
from medmd.handlers._mlflow_store import Store, error_code, patience
from medmd.utils import MedmdError, read_json, write_json

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOGGER = logging.getLogger(__name__)
_LONGEST_PARAMETER = 500
_MEMORY = "mlflow_run.json"
_PENDING = "tracking_pending"
_START_TAG = "medmd.start"
_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# A run that is stopped from outside is given some 30 s before it is killed.
_SECONDS_OF_A_STOP = 15.0
# Without these MLflow's own defaults would be filled in: the login and the path of the program.
NEUTRAL_TAGS = {"mlflow.user": "medmd", "mlflow.source.name": "medmd", "mlflow.source.type": "PROJECT"}


class MLflowRun:
    """One MLflow run that lives as long as a training, over both stages and every resume.

    The store is the one named by MLflow's standard variable `MLFLOW_TRACKING_URI`; without it, a SQLite file in the
    run's folder. MONAI's handler leaves a crashed run RUNNING, continues any unfinished run of that name, and logs
    one call a parameter; hence this one.

    A store that fails at the start is an error. From then on everything is first written to `tracking_pending/` in the
    folder and sent from there by a thread, so that neither a slow nor an absent server holds up or ends a training;
    what still waits at the end is sent when the run is started again.

    Args:
        folder: of the training; the id of the run is kept there, so that a resumed training continues it.
        experiment: name of the experiment.
        name: name of the run.
        enabled: false turns all calls into no-ops.
        pause: seconds between two attempts to reach a store that failed; doubled each time, up to a minute.

    Attributes:
        run_id: of the run once it was started.
        goes_on: whether this folder began its run earlier.
        uri: where the runs are stored.
        is_local: whether that is the SQLite file in the folder.
        flushes: called before the run is closed, to bring what still waits elsewhere.
    """

    def __init__(
        self,
        *,
        folder: str | Path,
        experiment: str = "remd",
        name: str = "remd",
        enabled: bool = True,
        pause: float = 5.0,
    ) -> None:
        self.folder = Path(folder)
        self.experiment = experiment
        self.name = name
        self.enabled = enabled
        self.run_id: str | None = None
        self.goes_on = False
        self.flushes: list[Callable[[], None]] = []
        self._store = Store(self.folder)
        self._pause = pause
        self._last: dict[str, tuple[int, float]] = {}
        self._open = ExitStack()
        self._process = 0

    @property
    def uri(self) -> str:
        """Where the runs are stored."""
        return self._store.uri

    @property
    def is_local(self) -> bool:
        """Whether the store is the SQLite file in the folder."""
        return self._store.is_local

    @property
    def client(self) -> MlflowClient:
        """The client; the first use imports MLflow and opens the store."""
        return self._store.client

    def speaking(self) -> AbstractContextManager[None]:
        """Around calls to a server: their errors become one sentence without the credentials of its address.

        Raises:
            MedmdError: the server cannot be reached or refuses the call.
        """
        return self._store.speaking()

    def start(self, *, parameters: dict[str, Any], tags: dict[str, str]) -> None:
        """Open the run, or the one that this folder began earlier, and send what waits of it and its parameters.

        Args:
            parameters: flat; values are written as text.
            tags: further tags of the run.

        Raises:
            MedmdError: the server cannot be reached or refuses the call, or the folder's run is in another store.
        """
        if not self.enabled:
            return
        self.goes_on = (self.folder / _MEMORY).exists()
        self._check_store()
        if not self.goes_on:
            self._store.mend()
        with ExitStack() as until_closed:
            # Around all of it: the thread reads the settings when it sends, until the run is closed.
            until_closed.enter_context(patience())
            with self.speaking():
                known = self.known_run()
                experiment = self.experiment_id()
                if known is not None and self._reopen(known):
                    self.run_id = known
                    self._remember(known)
                else:
                    self.run_id = self._create(experiment, tags)
                self._begin_to_send(self.run_id)
                self._open = until_closed.pop_all()
                self._send_what_waits(parameters)
        self._sender.is_quiet = False

    def log(self, entries: list[Entry]) -> None:
        """Log numbers of the history, as `<stage>/<name>` at the step of their iteration."""
        self._log_rows([(metric_name(entry), entry.iteration, entry.value) for entry in entries])

    def log_values(self, values: Mapping[str, float]) -> None:
        """Log final numbers, at step 0; those that an earlier start of this run has logged are not logged again."""
        self._log_rows([(k, 0, float(v)) for k, v in values.items() if self._last.get(k) != (0, float(v))])

    def last_steps(self) -> dict[str, int]:
        """By name of a metric the last step that the store held when this run was started."""
        return {name: step for name, (step, _) in self._last.items()}

    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """Log a file, or a folder with all that is in it, below `folder` of the run's artifacts.

        What is sent is the file as it is now.
        """
        if not self._is_open:
            return
        source = Path(path)
        found = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in found:
            if file.is_file():
                below = file.parent.relative_to(source).parts if source.is_dir() else ()
                place = "/".join([*([folder] if folder else []), *below])
                kept = self._buffer.keep(file).relative_to(self.folder).as_posix()
                self._put({"kind": "file", "path": kept, "to": place or None})

    def settle(self) -> bool:
        """Wait until everything is sent or the store fails; whether everything was sent."""
        return not self._is_open or self._sender.settle()

    def finish(self, status: str) -> None:
        """Send what still waits and close the run as FINISHED, FAILED or KILLED.

        When the store is away, all of it stays in the folder and a warning says so: the run is closed when it is
        started again. Only a run that is finished waits for a slow store as long as it takes.
        """
        if not self._is_open:
            return
        try:
            for flush in self.flushes:
                flush()
        finally:
            self._close(status)

    def _check_store(self) -> None:
        """A run that silently went on elsewhere would leave half a run in each store."""
        known = read_json(self.folder / _MEMORY) if self.goes_on else {}
        if known.get("store", self._store.identity) != self._store.identity:
            there = "the folder's own database" if known["store"] == "folder" else "a server or another database"
            here = "no store" if self.is_local else "another one"
            msg = (
                f"MLFLOW_TRACKING_URI: the run of this folder is tracked in {there} ({_MEMORY} says which), and the "
                f"variable names {here} now. Set it as it was{' (unset)' if known['store'] == 'folder' else ''}; or "
                f"delete {_MEMORY} from the output folder, and the rest is tracked as a run of its own."
            )
            raise MedmdError(msg)

    def known_run(self) -> str | None:
        """The run that this folder began in this store, or `None`."""
        path = self.folder / _MEMORY
        known = read_json(path) if path.exists() else {}
        if known.get("store") != self._store.identity:
            return None
        return str(known["run_id"]) if "run_id" in known else self._run_begun_with(str(known["start"]))

    def experiment_id(self) -> str:
        """The experiment in the store, made when absent; its artifacts lie in the run's folder when the store does.

        Raises:
            MedmdError: the folder was moved since: the store knows its artifacts at the old place only.
        """
        place = (self.folder / "mlruns").resolve().as_uri() if self.is_local else None
        found = self.client.get_experiment_by_name(self.experiment)
        if found is None:
            return self._create_experiment(place)
        if place is not None and found.artifact_location != place:
            msg = (
                f"{self.folder}: this run's folder was moved, but its MLflow store holds the artifacts' old place. "
                "Move it back. The folder model/ alone may be put anywhere."
            )
            raise MedmdError(msg)
        return str(found.experiment_id)

    @property
    def _is_open(self) -> bool:
        # A worker process that was forked off has neither the thread nor the right to send.
        return self._process == os.getpid()

    def _begin_to_send(self, run_id: str) -> None:
        self._buffer = Buffer(self.folder / _PENDING, run_id)
        self._delivery = Delivery(self._store, run_id, self.folder, self._buffer)
        self._sender = Sender(self._buffer, self._delivery, explain=self._store.explain, pause=self._pause)
        self._process = os.getpid()
        self._sender.start()
        if self._buffer.others():
            _LOGGER.warning("%s holds records of an earlier MLflow run; they are left there.", _PENDING)

    def _send_what_waits(self, parameters: dict[str, Any]) -> None:
        self._put({"kind": "parameters", "values": {k: str(v)[:_LONGEST_PARAMETER] for k, v in parameters.items()}})
        if not self._sender.settle() and self._sender.failure is not None:
            raise self._sender.failure
        # What waited may have told how the run ended the last time.
        self.client.update_run(self.run_id, status="RUNNING")
        self._last = self._delivery.last()

    def _close(self, status: str) -> None:
        with self._open:
            self._put({"kind": "status", "status": status, "time": _now()})
            self._process = 0
            if self._sender.close(None if status == "FINISHED" else _SECONDS_OF_A_STOP):
                self._buffer.remove()
            else:
                self._tell_what_waits()

    def _create(self, experiment: str, tags: dict[str, str]) -> str:
        # Written before the run is made: it is found again when the process ends before its id is known.
        start = uuid.uuid4().hex
        memory = {"start": start, "store": self._store.identity, "experiment": self.experiment}
        write_json(self.folder / _MEMORY, memory)
        tags = {**tags, **NEUTRAL_TAGS, _START_TAG: start}
        run = self.client.create_run(experiment, run_name=self.name, tags=tags, start_time=_now())
        write_json(self.folder / _MEMORY, {"run_id": run.info.run_id, **memory})
        return str(run.info.run_id)

    def _remember(self, run_id: str) -> None:
        """Keep the id of a run that was found by its start, as if its id had been kept when it was made."""
        path = self.folder / _MEMORY
        memory = read_json(path)
        if "run_id" not in memory:
            write_json(path, {"run_id": run_id, **memory})

    def _run_begun_with(self, start: str) -> str | None:
        found = self.client.search_runs([self.experiment_id()], f"tags.`{_START_TAG}` = '{start}'", max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create_experiment(self, place: str | None) -> str:
        try:
            return str(self.client.create_experiment(self.experiment, artifact_location=place))
        except Exception as error:
            # Another run that was started in the same moment.
            found = self.client.get_experiment_by_name(self.experiment)
            if error_code(error) != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return str(found.experiment_id)

    def _reopen(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self.client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in _NO_SUCH_RUN:
                raise
            _LOGGER.warning("The MLflow run of this folder was deleted; a new one is begun.")
            # The new run gets all numbers from the history.
            Buffer(self.folder / _PENDING, run_id).remove()
            return False
        return True

    def _log_rows(self, rows: list[tuple[str, int, float]]) -> None:
        if self._is_open and rows:
            self._put({"kind": "metrics", "time": _now(), "rows": rows})

    def _put(self, record: dict[str, Any]) -> None:
        self._buffer.append(record)
        self._sender.wake()

    def _tell_what_waits(self) -> None:
        records = self._buffer.all_waiting()
        numbers = sum(len(record.get("rows", ())) for record in records)
        files = sum(record["kind"] == "file" for record in records)
        why = f"{self._store.explain(self._sender.failure)} " if self._sender.failure is not None else ""
        _LOGGER.warning(
            "%s%d records (%d numbers, %d files and how the run ended) wait in %s in the run's folder. "
            "Start the same command again with the same output_dir: it sends them and trains nothing anew.",
            why,
            len(records),
            numbers,
            files,
            _PENDING,
        )


def metric_name(entry: Entry) -> str:
    """The name of an entry's metric in MLflow."""
    return f"{entry.stage}/{entry.name}"


def _now() -> int:
    return int(time.time() * 1000)
