"""An orderly end on request: SIGTERM and Ctrl-C become one exception, raised where nothing is lost by it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHELL_OFFSET = 128


class Stopped(SystemExit):
    """The process was asked to stop; uncaught, it ends without a traceback and with the code that a shell expects.

    Args:
        signum: the signal.

    Attributes:
        signum: the signal.
        exit_code: 128 more: 143 for SIGTERM, 130 for Ctrl-C.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = _SHELL_OFFSET + signum
        super().__init__(self.exit_code)

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name}"


class StopSignals:
    """What SIGTERM and SIGINT do while it is installed.

    The first signal raises `Stopped` in the main thread, wherever the program stands; inside of `held()` it waits for
    the end of that block, and what runs there can look at `requested` and end early. A second signal ends the process
    at once. Signals belong to the process, so there is one object of this class, `STOP`.

    Attributes:
        requested: number of the signal that came, or `None`.
        advice: the sentence that tells the user how to go on, said when the process stops.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self.advice = ""
        self._before: dict[int, Any] = {}
        self._depth = 0
        self._process = 0
        self._generation = 0

    @property
    def installed(self) -> bool:
        """Whether signals come here now."""
        return bool(self._before)

    def install(self) -> int:
        """Take over the signals; nothing happens outside of the main thread, where Python allows no handlers.

        Returns:
            A number that `restore` takes, so that an earlier user does not end the time of a later one.
        """
        self._generation += 1
        if threading.current_thread() is threading.main_thread() and not self.installed:
            self.requested, self._depth, self._process = None, 0, os.getpid()
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self._generation

    def restore(self, generation: int | None = None) -> None:
        """Give the signals back to who had them before.

        Args:
            generation: what `install` gave; nothing happens when somebody installed later. `None` restores anyway.
        """
        if generation not in (None, self._generation):
            return
        if threading.current_thread() is not threading.main_thread():
            return
        before, self._before = self._before, {}
        for number, handler in before.items():
            # None stands for a handler that was not set from Python and cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self.requested, self.advice, self._depth = None, "", 0

    @contextmanager
    def held(self, *, check: bool = True) -> Iterator[None]:
        """A block that the first signal does not break off.

        Args:
            check: raise at the end of the block when a signal came; `False` is for the last things to do.

        Raises:
            Stopped: as said.
        """
        self._depth += 1
        try:
            yield
        finally:
            self._depth = max(0, self._depth - 1)
        if check:
            self.check()

    def check(self) -> None:
        """Raise `Stopped` when a signal came and nothing holds it back.

        Raises:
            Stopped: as said.
        """
        if self.requested is not None and not self._depth:
            self.stop(self.requested)

    def stop(self, signum: int) -> NoReturn:
        """Say so and raise `Stopped`.

        Raises:
            Stopped: always.
        """
        error = Stopped(signum)
        _say(f"{error}. {self.advice}".strip())
        raise error

    def _receive(self, signum: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._receive_as_child(signum)
        elif self.requested is not None:
            _end_at_once(signum)
        else:
            self.requested = signum
            if self._depth:
                _say(f"{signal.Signals(signum).name}: ending after the running step; a second signal ends at once.")
            self.check()

    def _receive_as_child(self, signum: int) -> None:
        # A worker that was forked from this process. Ctrl-C reaches it too, but the main process still needs its batch.
        if signum != signal.SIGINT:
            _end_at_once(signum)


STOP = StopSignals()


@contextmanager
def stop_signals(advice: str = "") -> Iterator[StopSignals]:
    """A block in which SIGTERM and Ctrl-C raise `Stopped`; the handlers from before are put back after it.

    Args:
        advice: the sentence that tells the user how to go on.
    """
    if STOP.installed:
        # Within another such block, or a bundle's run, which give their own advice.
        yield STOP
        return
    generation = STOP.install()
    STOP.advice = advice
    try:
        yield STOP
    finally:
        STOP.restore(generation)


def outlive_stop_signals() -> None:
    """Let this process ignore SIGTERM and SIGINT: for workers that end with the process that they work for.

    A batch system sends its signal to every process of a job. A loader's worker that dies of it would take the main
    process with it before that has saved.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_at_once(signum: int) -> None:
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


def _say(text: str) -> None:
    # Not through sys.stderr: a handler may interrupt a write to it, which then cannot be entered again.
    os.write(2, f"medmd: {text}\n".encode())
