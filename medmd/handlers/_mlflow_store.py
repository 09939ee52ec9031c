"""Where MLflow's runs are kept, and what is said when that place fails: never a password, a path or a name."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from medmd.utils import MedmdError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOGGER = logging.getLogger(__name__)
# MLflow's own defaults try for minutes, during which a training would stand still at its start and at its end.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
# They tell each schema step of a new SQLite store, and each attempt to reach a server that is away.
_TALKATIVE = {"alembic": logging.WARNING, "mlflow.store.db.utils": logging.WARNING, "urllib3.connectionpool": 40}
# The user part may hold anything but a slash; the last @ before the slash ends it.
_ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]*://\S*")
_PATH = re.compile(r"(?<![\w<])[/\\~][^\s'\",;)]+|\b[A-Za-z]:[\\/][^\s'\",;)]+")
_KNOWN_REASONS = (
    (re.compile("refused", re.IGNORECASE), "connection refused"),
    (re.compile("timed? ?out", re.IGNORECASE), "no answer in time"),
    (re.compile("resol|name or service|getaddrinfo", re.IGNORECASE), "its name is not known"),
    (re.compile("certificate|ssl", re.IGNORECASE), "no secure connection: its certificate is not trusted"),
    (re.compile("connection (aborted|reset|broken)|remote end closed|broken pipe", re.IGNORECASE), "connection lost"),
    (re.compile("database is locked", re.IGNORECASE), "its database is locked by another program"),
)
_LONGEST_REASON = 200


class Store:
    """The store of runs: the one that MLflow's `MLFLOW_TRACKING_URI` names, or a SQLite file in the run's folder.

    Args:
        folder: of the run.

    Attributes:
        uri: where the runs are stored.
        is_local: whether that is the SQLite file in the folder.
    """

    def __init__(self, folder: Path) -> None:
        silence_telemetry()
        # Read once: MLflow's own set_tracking_uri writes the variable.
        named = os.environ.get("MLFLOW_TRACKING_URI")
        self.is_local = not named
        self._file = (folder / "mlruns.db").resolve()
        self.uri = named or f"sqlite:///{self._file}"
        self._client: MlflowClient | None = None

    @property
    def client(self) -> MlflowClient:
        """The client; the first use imports MLflow and opens the store."""
        if self._client is None:
            from mlflow import MlflowClient

            for name, level in _TALKATIVE.items():
                logging.getLogger(name).setLevel(level)
            self._client = MlflowClient(tracking_uri=self.uri)
        return self._client

    def mend(self) -> None:
        """Give the folder's SQLite file another name if its making was broken off: MLflow would refuse it for ever."""
        # Not by trying to open it: MLflow would keep its connection to the file that is set aside.
        if not (self.is_local and self._file.exists()) or _is_whole(self._file):
            return
        _LOGGER.warning("The MLflow store was left half made; a new one is made.")
        for path in self._file.parent.glob(f"{self._file.name}*"):
            if not path.name.endswith(".damaged"):
                path.replace(path.with_name(f"{path.name}.damaged"))

    @property
    def identity(self) -> str:
        """What tells stores apart, to be remembered: without password, path or name."""
        if self.is_local:
            return "folder"
        parts = urlsplit(self.uri)
        if parts.hostname:
            return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"
        return f"{parts.scheme}:{hashlib.sha256(self.uri.encode()).hexdigest()[:16]}"

    def explain(self, error: BaseException) -> str:
        """One sentence: that the store cannot be used, and why."""
        return f"{self._described()} cannot be used ({reason(error)})."

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Around calls to a server: short attempts, and their errors become one sentence.

        Raises:
            MedmdError: the server cannot be reached or refuses the call.
        """
        try:
            with patience():
                yield
        except Exception as error:
            if self.is_local or isinstance(error, MedmdError):
                raise
            msg = f"{self.explain(error)} Check MLFLOW_TRACKING_URI, or train with --track False."
            raise MedmdError(msg) from None

    def _described(self) -> str:
        if self.is_local:
            return "The MLflow store in the run's folder"
        has_host = urlsplit(self.uri).hostname
        return f"The MLflow server {self.identity}" if has_host else "The MLflow store of MLFLOW_TRACKING_URI"


def _is_whole(file: Path) -> bool:
    """Whether MLflow came to the last step of making a store, which is its experiment 0."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            return bool(database.execute("SELECT 1 FROM experiments WHERE experiment_id = 0").fetchall())
    except sqlite3.Error:
        return False


@contextmanager
def patience() -> Iterator[None]:
    """MLflow's requests within give up after seconds, unless the user has said otherwise; put back afterwards."""
    ours = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def reason(error: BaseException) -> str:
    """Why a call failed, in a few words that hold no address, no path and nothing of the message's further lines."""
    text = f"{type(error).__name__}: {error}"
    for pattern, words in _KNOWN_REASONS:
        if pattern.search(text):
            return words
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    line = (text.splitlines() or [""])[0]
    line = _PATH.sub("<path>", _ADDRESS.sub("<address>", line))
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 3] + "..."


def error_code(error: BaseException) -> str:
    """MLflow's name of what went wrong, or an empty text."""
    return str(getattr(error, "error_code", "") or "")


def http_status(error: BaseException) -> int:
    """The status of a refused HTTP request, or 0."""
    response: Any = getattr(error, "response", None)
    return int(getattr(response, "status_code", 0) or 0)


def silence_telemetry() -> None:
    """Tell MLflow to report nothing to anybody and to keep data out of its error texts."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")
    # The address that it prints may hold a password.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if "mlflow.telemetry" in sys.modules:
        # MONAI's engines import MLflow, which then has made its client before it could be told.
        sys.modules["mlflow.telemetry"].set_telemetry_client()
