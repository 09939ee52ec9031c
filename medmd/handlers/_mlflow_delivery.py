"""How one record reaches the store: in batches, nothing twice, and what the store will never take set aside."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from medmd.handlers._mlflow_buffer import Buffer
from medmd.handlers._mlflow_store import Store, error_code, http_status, reason

_LOGGER = logging.getLogger(__name__)
_BATCH = 900  # MLflow takes at most 1,000 metrics in one call.
_PARAMETERS = 100
# A record that is refused for what it is will be refused for ever. 401 and 403 may be mended on the server.
_REFUSED_CODES = ("INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "MALFORMED_REQUEST", "BAD_REQUEST")
_REFUSED_STATUS = (400, 413, 415, 422)
# Name, step, value and time in milliseconds.
Row = tuple[str, int, float, int]


class Delivery:
    """Sends records to one run.

    A store may have taken a batch whose answer was lost, and an end of the process may have come before the sending was
    noted. So after every failure, and at the beginning, the store is asked what it has last.

    Args:
        store: of the runs.
        run_id: of the run.
        folder: of the run; records name files relative to it.
        buffer: whose copies of files are dropped once they are sent.
    """

    def __init__(self, store: Store, run_id: str, folder: Path, buffer: Buffer) -> None:
        self._store = store
        self._run_id = run_id
        self._folder = folder
        self._buffer = buffer
        self._last: dict[str, tuple[int, float]] | None = None

    def __call__(self, records: list[dict[str, Any]]) -> None:
        """Send the records in order."""
        kinds: dict[str, Callable[[dict[str, Any]], None]] = {
            "parameters": self._parameters,
            "file": self._file,
            "status": self._status,
        }
        try:
            for kind, group in groupby(records, key=lambda record: record["kind"]):
                if kind == "metrics":
                    self._metrics([row for record in group for row in _rows(record)])
                    continue
                for record in group:
                    self._or_refused(record, partial(kinds[kind], record))
        except Exception:
            self._last = None
            raise

    def last(self) -> dict[str, tuple[int, float]]:
        """By name of a metric the last step that the store holds, and its value."""
        metrics = self._store.client.get_run(self._run_id).data.to_proto().metrics
        return {metric.key: (metric.step, metric.value) for metric in metrics}

    def _metrics(self, rows: list[Row]) -> None:
        from mlflow.entities import Metric

        if self._last is None:
            last = self.last()
            rows = [row for row in rows if not _is_stored(row, last)]
            self._last = last
        for part in _parts(rows, _BATCH):
            metrics = [Metric(name, value, time, step) for name, step, value, time in part]
            self._or_refused(
                {"kind": "metrics", "rows": part},
                partial(self._store.client.log_batch, self._run_id, metrics=metrics),
            )

    def _parameters(self, record: dict[str, Any]) -> None:
        from mlflow.entities import Param

        known = self._store.client.get_run(self._run_id).data.params
        # A parameter is written once; a resumed run may have been started with another number of workers.
        new = [Param(name, value) for name, value in record["values"].items() if name not in known]
        for part in _parts(new, _PARAMETERS):
            self._store.client.log_batch(self._run_id, params=part)

    def _file(self, record: dict[str, Any]) -> None:
        path = self._folder / record["path"]
        if not path.is_file():
            _LOGGER.warning("%s is gone and does not reach MLflow.", path.name)
            return
        self._store.client.log_artifact(self._run_id, str(path), record["to"])
        self._buffer.drop(path)

    def _status(self, record: dict[str, Any]) -> None:
        self._store.client.set_terminated(self._run_id, status=record["status"], end_time=record["time"])

    def _or_refused(self, record: dict[str, Any], send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:
            if not self._is_refused(error):
                raise
            name = self._buffer.set_aside({"reason": reason(error), "record": _plain(record)})
            _LOGGER.warning("MLflow refuses a record (%s); it is kept as %s.", reason(error), name)

    def _is_refused(self, error: Exception) -> bool:
        if error_code(error) not in _REFUSED_CODES and http_status(error) not in _REFUSED_STATUS:
            return False
        # A run that was deleted in the middle takes nothing: that is not the record's fault.
        return str(self._store.client.get_run(self._run_id).info.lifecycle_stage) == "active"


def _rows(record: dict[str, Any]) -> Iterator[Row]:
    for name, step, value in record["rows"]:
        yield name, step, value, record["time"]


def _is_stored(row: Row, last: dict[str, tuple[int, float]]) -> bool:
    name, step, value, _ = row
    stored_step, stored = last.get(name, (-1, 0.0))
    if step == stored_step:
        return value == stored or (math.isnan(value) and math.isnan(stored))
    return step < stored_step


def _parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    # JSON has no NaN.
    rows = [[str(cell) for cell in row] for row in record.get("rows", [])]
    return {**record, "rows": rows} if rows else record
