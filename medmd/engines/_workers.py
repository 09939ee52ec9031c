"""Processes that load data, when the engine that they load for ends early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ignite.engine import Events


@contextmanager
def workers_end_with(engine: Any) -> Iterator[None]:
    """A block at whose failure the engine's loading processes are told to end.

    PyTorch ends them when the loader's iterator is forgotten, but the traceback of an error keeps it, and at the exit
    of Python it is too late: workers that ignore the signals of the main process would be waited for without end.

    Args:
        engine: an Ignite engine, which is run in the block.
    """
    newest: list[Any] = []

    def note() -> None:
        # Ignite forgets it before it hands an error on.
        newest[:] = [engine._dataloader_iter]

    with engine.add_event_handler(Events.GET_BATCH_STARTED, note):
        try:
            yield
        except BaseException:
            for iterator in newest:
                getattr(iterator, "_shutdown_workers", _nothing)()
            raise


def _nothing() -> None:
    """What a loader without workers needs."""
