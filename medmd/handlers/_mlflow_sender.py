"""The thread that sends what waits, so that training never waits for a server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from medmd.handlers._mlflow_buffer import Buffer

_LOGGER = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0


class Sender:
    """Sends a buffer's records in order, again and again until the store takes them.

    After a failure it pauses, twice as long each time. It warns once when the store goes away and says once that it is
    back.

    Args:
        buffer: what to send.
        send: sends some records, or raises; the same records may come again.
        explain: makes a sentence of what was raised.
        pause: seconds before the second attempt.

    Attributes:
        is_quiet: whether failures are left to who started it; true at first.
        failure: why the last attempt failed, or `None` when it succeeded.
    """

    def __init__(
        self,
        buffer: Buffer,
        send: Callable[[list[dict[str, Any]]], None],
        *,
        explain: Callable[[Exception], str],
        pause: float = 5.0,
    ) -> None:
        self.is_quiet = True
        self.failure: Exception | None = None
        self._buffer = buffer
        self._send = send
        self._explain = explain
        self._pause = pause
        self._warned = False
        self._news, self._closing = threading.Event(), threading.Event()
        self._defect: BaseException | None = None
        self._thread = threading.Thread(target=self._guard, name="medmd-mlflow", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        """Say that there is a new record.

        Raises:
            Exception: the thread ended by a defect; what it was.
        """
        if self._defect is not None:
            defect, self._defect = self._defect, None
            raise defect
        self._news.set()

    def settle(self) -> bool:
        """Wait until everything is sent or an attempt has failed; whether everything was sent."""
        self.wake()
        while self._buffer and self.failure is None and self._thread.is_alive():
            time.sleep(0.01)
        return not self._buffer

    def close(self, seconds: float | None = None) -> bool:
        """Send what waits, without pauses, and end the thread at the first failure.

        Args:
            seconds: to wait at most; `None` waits as long as the store takes records.

        Returns:
            Whether everything was sent.
        """
        self._closing.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        if self._defect is not None:
            raise self._defect
        return not self._buffer

    def _guard(self) -> None:
        try:
            self._work()
        except BaseException as defect:  # noqa: BLE001 - handed to the main thread by `wake` and `close`
            self._defect = defect

    def _work(self) -> None:
        pause = self._pause
        while True:
            self._news.wait()
            self._news.clear()
            while not self._send_all():
                if self._closing.is_set():
                    return
                self._closing.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            pause = self._pause
            if self._closing.is_set() and not self._buffer:
                return

    def _send_all(self) -> bool:
        while self._buffer:
            waiting = self._buffer.peek()
            try:
                self._send(waiting.records)
            except Exception as error:  # noqa: BLE001 - whatever a store or a network may raise
                self._fail(error)
                return False
            self._buffer.acknowledge(waiting.end)
        self._succeed()
        return True

    def _fail(self, error: Exception) -> None:
        self.failure = error
        if not self._warned and not self.is_quiet:
            self._warned = True
            _LOGGER.warning("%s What is logged waits in the run's folder; training goes on.", self._explain(error))

    def _succeed(self) -> None:
        self.failure = None
        if self._warned:
            self._warned = False
            _LOGGER.warning("MLflow can be reached again; everything that waited was sent.")
