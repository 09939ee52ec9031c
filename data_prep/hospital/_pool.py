"""Workers: processes of this machine, or of a cluster. The results come in the order of the work."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")
# How much work is handed out ahead, for each worker: it never waits, and the results that wait stay few.
_AHEAD = 3
_PRELOAD = ["data_prep.hospital._scan", "data_prep.hospital._write", "medmd.io"]


class Pool(Protocol):
    """Does work elsewhere."""

    def map(self, function: Callable[[T], R], items: Iterable[T], *, lost: Callable[[T], R]) -> Iterator[R]:
        """Results in the order of `items`.

        Args:
            function: importable by its name; must not raise.
            items: the work; taken as needed.
            lost: the result for an item whose worker died each time it was tried.
        """


@contextmanager
def open_pool(*, workers: int | None, scheduler: str | None) -> Iterator[Pool]:
    """Worker processes, ended at the end.

    Args:
        workers: how many on this machine; None for one a core.
        scheduler: address of a Dask scheduler to use instead, such as `tcp://host:8786`.

    Raises:
        MedmdError: the scheduler does not answer, has no workers, or `distributed` is not installed.
    """
    opened: AbstractContextManager[Pool]
    if scheduler is None:
        opened = _opened_processes(workers or cores())
    else:
        from data_prep.hospital._pool_dask import opened_cluster

        opened = opened_cluster(scheduler)
    with opened as pool:
        yield pool


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _opened_processes(workers: int) -> Iterator[Pool]:
    pool = ProcessesPool(workers)
    try:
        yield pool
    finally:
        pool.close()


class ProcessesPool:
    """Processes of this machine.

    A process that dies, because a decoder crashed or the system ran out of memory, takes its pool along. The work that
    was under way is then done again, each item in a process of its own, which shows whose fault it was.

    Args:
        workers: how many at a time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._executor = _executor(workers)

    def map(self, function: Callable[[T], R], items: Iterable[T], *, lost: Callable[[T], R]) -> Iterator[R]:
        """See `Pool`."""
        rest = iter(items)
        under_way: deque[tuple[T, Future[R]]] = deque()
        while True:
            while len(under_way) < _AHEAD * self._workers and (given := next(rest, _END)) is not _END:
                under_way.append((given, self._submit(function, given)))
            if not under_way:
                return
            item, future = under_way.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                begun = [(item, future), *under_way]
                under_way.clear()
                self._restart()
                yield from (self._again(function, *each, lost) for each in begun)
                continue
            yield result

    def close(self) -> None:
        """End the processes; what has not begun is dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)

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
        self._executor = _executor(self._workers)

    @staticmethod
    def _again(function: Callable[[T], R], item: T, future: Future[R], lost: Callable[[T], R]) -> R:
        if future.done() and not future.cancelled() and future.exception() is None:
            return future.result()
        with _executor(1) as alone:
            try:
                return alone.submit(function, item).result()
            except BrokenProcessPool:
                return lost(item)


_END: Any = object()


def _executor(workers: int) -> ProcessPoolExecutor:
    if sys.platform == "win32":
        context: Any = multiprocessing.get_context("spawn")
    else:
        # Not `fork`: the caller may have threads. The server imports once what every worker needs.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)


def _begin() -> None:
    """Make the process a silent worker that does not outlive its caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Decoders written in C print what they find in a file; the facts go back as results.
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
