"""Work on many files at once, results in the order of the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from medmd.utils import MedmdError

T = TypeVar("T")
R = TypeVar("R")


def map_in_order(function: Callable[[T], R], items: Sequence[T], *, workers: int) -> Iterator[R]:
    """Results of `function` in the order of `items`, whatever the number of workers.

    Threads are enough: Pillow and zlib work outside Python's lock. When the caller stops early or an item raises, what
    has not begun is dropped.

    Args:
        function: what to do with one item.
        items: the work.
        workers: how many at a time, at least 1.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def check_workers(workers: int) -> None:
    """Check the number of workers.

    Raises:
        MedmdError: it is below 1.
    """
    if workers < 1:
        msg = f"workers: expected at least 1, got {workers}."
        raise MedmdError(msg)
