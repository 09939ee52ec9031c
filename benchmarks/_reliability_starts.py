"""Starts of the bundle that can be killed at a moment, with all their children."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import psutil

from benchmarks._reliability_traps import Trap
from medmd.utils import write_json
from medmd.workflows import environment as versions

ROOT = Path(__file__).resolve().parents[1]
_PARTS = ("medmd", "bundles", "benchmarks")
# Longer than any start of these small runs; a start that hangs is a finding and must not stop the others.
_TOO_LONG = 3600.0
# Seconds between two looks at a process.
_OFTEN, _SELDOM = 0.005, 0.05


@dataclass(frozen=True)
class End:
    """How a start ended.

    Attributes:
        code: of the process; negative is a signal.
        seconds: that it lived.
        processor: seconds of the processor that it had used when it was last looked at.
        hung: whether it had to be ended because it never did.
    """

    code: int
    seconds: float
    processor: float
    hung: bool = False

    @property
    def was_killed(self) -> bool:
        """By SIGKILL, from outside or by a trap."""
        return self.code == -signal.SIGKILL


def environment() -> dict[str, str]:
    """Of all starts: one thread for each library, and the store in the run's folder."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    # Waiting threads give their processor away: on a busy machine two that spin wait for each other without end.
    set_here = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}
    return {**kept, **set_here}


def copy_source(folder: Path) -> Path:
    """A copy of the sources, so that nothing that is edited meanwhile disturbs half an hour of comparisons.

    It has no repository, hence runs from it record the revision "unknown".
    """
    if not (folder / "complete.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        for name in _PARTS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        write_json(folder / "complete.json", {"git_revision": versions("cpu")["git_revision"]})
    return folder


class Server(AbstractContextManager["Server"]):
    """Starts as children of one process that has imported everything.

    Args:
        source: folder of the sources that are run.

    Attributes:
        imports: seconds of the processor that it took to import everything.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._reliability_server"],
            cwd=source,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Alone in its pipe buffer: select must see every answer.
            bufsize=0,
        )
        self._child: int | None = None
        self._answer(_TOO_LONG)
        self.imports = _used(self._process.pid)

    def run(
        self, words: Sequence[str], *, log: Path, traps: Sequence[Trap] = (), kill_after: float | None = None
    ) -> End:
        """Start `python -m monai.bundle` with `words` and wait until it ends.

        Args:
            words: of the command.
            log: file for its output.
            traps: where it kills itself.
            kill_after: seconds of the processor after which it is killed, with all its group. Not of the clock: a busy
                machine would move the moment.
        """
        request = _request(self._source, words, log, traps)
        begin = time.monotonic()
        cast("IO[bytes]", self._process.stdin).write(json.dumps(request).encode() + b"\n")
        answer = self._answer(_TOO_LONG) or {}
        self._child = int(answer["pid"])
        ends: list[dict[str, Any]] = []

        def has_ended(seconds: float) -> bool:
            ends.extend(each for each in [self._answer(seconds)] if each)
            return bool(ends)

        processor, hung = _follow(self._child, has_ended, kill_after)
        if not ends:
            has_ended(_TOO_LONG)
        self._child = None
        return End(int(ends[0]["code"]), time.monotonic() - begin, processor, hung)

    def _answer(self, seconds: float) -> dict[str, Any] | None:
        pipe = cast("IO[bytes]", self._process.stdout)
        if not select.select([pipe], [], [], max(0.0, seconds))[0]:
            return None
        line = pipe.readline()
        if not line:
            msg = "The process that starts the runs has ended."
            raise RuntimeError(msg)
        return dict(json.loads(line))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the server and a start that still runs."""
        if self._child is not None:
            _kill_group(self._child)
        self._process.kill()
        self._process.communicate()


def run_plain(
    source: Path, words: Sequence[str], *, log: Path, traps: Sequence[Trap] = (), kill_after: float | None = None
) -> End:
    """As `Server.run`, as a user starts it: a new Python that imports everything."""
    command = [sys.executable, "-m", "monai.bundle", *words]
    if traps:
        command = [
            sys.executable,
            "-m",
            "benchmarks._reliability_server",
            json.dumps(_request(source, words, log, traps)),
        ]
    begin = time.monotonic()
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=source,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

        def has_ended(seconds: float) -> bool:
            time.sleep(seconds)
            return process.poll() is not None

        try:
            processor, hung = _follow(process.pid, has_ended, kill_after)
        finally:
            _kill_group(process.pid)
    return End(process.wait(), time.monotonic() - begin, processor, hung)


def _follow(process: int, has_ended: Callable[[float], bool], kill_after: float | None) -> tuple[float, bool]:
    """Wait until a process ends, or kill it; the processor's seconds that it used and whether it never ended."""
    deadline, used = time.monotonic() + _TOO_LONG, 0.0
    while not has_ended(_SELDOM if kill_after is None else _OFTEN):
        used = max(used, _used(process))
        is_late = time.monotonic() > deadline
        if is_late or (kill_after is not None and used >= kill_after):
            _kill_group(process)
            return used, is_late
    return used, False


def _used(process: int) -> float:
    try:
        times = psutil.Process(process).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _request(source: Path, words: Sequence[str], log: Path, traps: Sequence[Trap]) -> dict[str, Any]:
    return {"words": list(words), "log": str(log), "folder": str(source), "traps": [asdict(trap) for trap in traps]}


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
