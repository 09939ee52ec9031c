"""Workers of a Dask cluster."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from medmd.utils import MedmdError, WriteError

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 3
_SECONDS_TO_ANSWER = 30


@contextmanager
def opened_cluster(address: str) -> Iterator[ClusterPool]:
    """A connection to the scheduler at `address`.

    Raises:
        MedmdError: `distributed` is not installed, the scheduler does not answer, or it has no workers.
    """
    try:
        from distributed import Client
    except ImportError:
        msg = "--scheduler needs Dask: pip install 'medmd[cluster]'."
        raise MedmdError(msg) from None
    try:
        client = Client(address, timeout=_SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        msg = f"{address}: no Dask scheduler answers there ({type(error).__name__}). Start one with `dask scheduler`."
        raise MedmdError(msg) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
        except TimeoutError:
            msg = f"{address}: the scheduler has no workers. Start some with `dask worker {address}`."
            raise MedmdError(msg) from None
        yield ClusterPool(client)


class ClusterPool:
    """Work on a cluster whose workers see the export and the output under the paths that this process sees.

    The scheduler gives the work of a lost worker to another one. Keep the cluster to machines that may see the export:
    the tasks carry the places of files and the key.

    Args:
        client: a connected `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        # Names of their own: the scheduler would make them from the tasks, whose texts may stand in its logs.
        self._names = (f"medmd-{uuid.uuid4().hex}-{number}" for number in itertools.count())

    def map(self, function: Callable[[T], R], items: Iterable[T], *, lost: Callable[[T], R]) -> Iterator[R]:
        """See `Pool`."""
        rest = iter(items)
        under_way: deque[tuple[T, Any]] = deque()
        while True:
            ahead = _AHEAD * max(1, sum(self._client.nthreads().values()))
            for item in rest:
                submitted = self._client.submit(function, item, key=next(self._names), pure=False)
                under_way.append((item, submitted))
                if len(under_way) >= ahead:
                    break
            if not under_way:
                return
            item, future = under_way.popleft()
            yield self._result(item, future, lost)

    def _result(self, item: T, future: Any, lost: Callable[[T], R]) -> R:
        from distributed import KilledWorker

        try:
            result: R = future.result()
        except KilledWorker:
            return lost(item)
        except WriteError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the cluster's parts raise
            msg = f"The cluster failed ({type(error).__name__}). Run the same command again: what was read is kept."
            raise MedmdError(msg) from None
        future.release()
        return result
