"""Workers of a Dask cluster."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from medmd.utils._errors import MedmdError
from medmd.utils._pool import AHEAD
from medmd.utils._storage import WriteError

T = TypeVar("T")
R = TypeVar("R")
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
        msg = "--scheduler needs Dask. Run in the clone: pip install -c constraints.txt -e '.[cluster]'"
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
        pool = ClusterPool(client)
        try:
            yield pool
        except BaseException:
            pool.break_off()
            raise


class ClusterPool:
    """Work on a cluster whose workers see the data and the output under the paths that this process sees.

    The scheduler gives the work of a lost worker to another one. Keep the cluster to machines that may see the data:
    the tasks carry the places of files, and of a conversion the key.

    Args:
        client: a connected `distributed.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        # Names of their own: the scheduler would make them from the tasks, whose texts may stand in its logs.
        self._names = (f"medmd-{uuid.uuid4().hex}-{number}" for number in itertools.count())
        self._under_way: deque[tuple[Any, Any]] = deque()

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        lost: Callable[[T], R],
        ordered: bool = True,
        ahead: int = AHEAD,
    ) -> Iterator[R]:
        """See `medmd.utils.Pool`."""
        rest = iter(items)
        under_way = self._under_way
        while True:
            most = ahead * max(1, sum(self._client.nthreads().values()))
            while len(under_way) < most and (given := next(rest, _END)) is not _END:
                submitted = self._client.submit(function, given, key=next(self._names), pure=False)
                under_way.append((given, submitted))
            if not under_way:
                return
            item, future = self._take(ordered=ordered)
            yield self._result(item, future, lost)

    def break_off(self) -> None:
        """Drop what has not begun; what runs ends on its worker, and nobody takes its result."""
        self._client.cancel([future for _, future in self._under_way])

    def _take(self, *, ordered: bool) -> tuple[Any, Any]:
        from distributed import wait

        if ordered:
            return self._under_way.popleft()
        # The client is nobody's default, and waiting asks for one.
        with self._client.as_current():
            wait([future for _, future in self._under_way], return_when="FIRST_COMPLETED")
        found = next(each for each in self._under_way if each[1].done())
        self._under_way.remove(found)
        return found

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


_END: Any = object()
