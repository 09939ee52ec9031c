"""Workers: processes of this machine, or of a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
# How much work is handed out ahead, for each worker: it never waits, and the results that wait stay few.
AHEAD = 3


class Pool(Protocol):
    """Does work elsewhere."""

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        lost: Callable[[T], R],
        ordered: bool = True,
        ahead: int = AHEAD,
    ) -> Iterator[R]:
        """Results, in the order of `items` unless told otherwise.

        Args:
            function: importable by its name; must not raise.
            items: the work; taken as needed.
            lost: the result for an item whose worker died each time it was tried.
            ordered: false gives each result as soon as it is there: for work of unequal length.
            ahead: items handed out at a time for each worker; 1 when an item takes so long that the pause between
                two does not matter.
        """


@contextmanager
def open_pool(*, workers: int | None, scheduler: str | None, preload: Sequence[str] = ()) -> Iterator[Pool]:
    """Worker processes, ended at the end. When the block is left by an exception, running work is broken off.

    Args:
        workers: how many on this machine; None for one a core.
        scheduler: address of a Dask scheduler to use instead, such as `tcp://host:8786`.
        preload: modules that are imported once, before the workers of this machine are made from that process.

    Raises:
        MedmdError: the scheduler does not answer, has no workers, or `distributed` is not installed.
    """
    opened: AbstractContextManager[Pool]
    if scheduler is None:
        opened = _opened_processes(workers or cores(), preload)
    else:
        from medmd.utils._pool_dask import opened_cluster

        opened = opened_cluster(scheduler)
    with opened as pool:
        yield pool


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _opened_processes(workers: int, preload: Sequence[str]) -> Iterator[Pool]:
    pool = ProcessesPool(workers, preload)
    try:
        yield pool
    except BaseException:
        pool.break_off()
        raise
    finally:
        pool.close()


class ProcessesPool:
    """Processes of this machine.

    A process that dies, because a decoder crashed or the system ran out of memory, takes its pool along. The work that
    was under way is then done again, each item in a process of its own, which shows whose fault it was.

    Args:
        workers: how many at a time.
        preload: see `open_pool`.
    """

    def __init__(self, workers: int, preload: Sequence[str] = ()) -> None:
        self._workers = workers
        self._preload = list(preload)
        # Workers end when this end of the line is closed, which it is with the process that holds it, too.
        self._theirs, self._ours = multiprocessing.Pipe(duplex=False)
        self._executor = self._executor_of(workers)

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        lost: Callable[[T], R],
        ordered: bool = True,
        ahead: int = AHEAD,
    ) -> Iterator[R]:
        """See `Pool`."""
        rest = iter(items)
        under_way: deque[tuple[T, Future[R]]] = deque()
        while True:
            while len(under_way) < ahead * self._workers and (given := next(rest, _END)) is not _END:
                under_way.append((given, self._submit(function, given)))
            if not under_way:
                return
            item, future = _take(under_way, ordered=ordered)
            try:
                result = future.result()
            except BrokenProcessPool:
                begun = [(item, future), *under_way]
                under_way.clear()
                self._restart()
                yield from (self._again(function, *each, lost) for each in begun)
                continue
            yield result

    def break_off(self) -> None:
        """End the processes at once, whatever they do."""
        self._ours.close()
        _kill_server()

    def close(self) -> None:
        """End the processes after their work; what has not begun is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
        for end in (self._ours, self._theirs):
            end.close()

    def _submit(self, function: Callable[[T], R], item: T) -> Future[R]:
        try:
            return self._executor.submit(function, item)
        except BrokenProcessPool as error:
            # A process died between two submissions: the item is told as under way, and done again with the others.
            broken: Future[R] = Future()
            broken.set_exception(error)
            return broken

    def _restart(self) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = self._executor_of(self._workers)

    def _again(self, function: Callable[[T], R], item: T, future: Future[R], lost: Callable[[T], R]) -> R:
        if future.done() and not future.cancelled() and future.exception() is None:
            return future.result()
        with self._executor_of(1) as alone:
            try:
                return alone.submit(function, item).result()
            except BrokenProcessPool:
                return lost(item)

    def _executor_of(self, workers: int) -> ProcessPoolExecutor:
        if sys.platform == "win32":
            context: Any = multiprocessing.get_context("spawn")
        else:
            # Not `fork`: the caller may have threads. The server imports once what every worker needs.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(self._preload)
            _start_server()
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(self._theirs,))


_END: Any = object()


def _take(under_way: deque[tuple[T, Future[R]]], *, ordered: bool) -> tuple[T, Future[R]]:
    """The next result to hand on, taken out of what is under way."""
    if ordered:
        return under_way.popleft()
    wait_for([future for _, future in under_way], return_when=FIRST_COMPLETED)
    found = next(each for each in under_way if each[1].done())
    under_way.remove(found)
    return found


def _start_server() -> None:
    """Start the server of workers deaf to Ctrl-C, which would end its imports with a traceback; its caller ends it."""
    from multiprocessing import forkserver, resource_tracker

    # First, for its start would end the blocking.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_server() -> None:
    """End the server, which may still import, and would then start a worker for nobody, with a traceback."""
    if sys.platform == "win32":
        return
    from multiprocessing import forkserver

    # Python has no public name for it; the next pool starts another.
    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _begin(line: Connection) -> None:
    """Make the process a silent worker that does not outlive its caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Decoders written in C print what they find in a file; the facts go back as results.
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
    threading.Thread(target=_end_with_parent, args=(line,), daemon=True).start()


def _end_with_parent(line: Connection) -> None:
    parent = multiprocessing.parent_process()
    with suppress(OSError):
        wait([line] if parent is None else [line, parent.sentinel])
    os._exit(1)
