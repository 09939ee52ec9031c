"""Progress for a person: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

_LOGGER = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 15.0

T = TypeVar("T")


def progress(items: Iterable[T], *, total: int, description: str, unit: str = "case") -> Iterator[T]:
    """Hand on `items` and show how far along they are.

    On a terminal this is a tqdm bar with the estimated time left. Elsewhere a line goes to the log when the work starts
    to be noticeable and every 15 seconds after that, so that a log file of a long job stays short.

    Args:
        items: what to iterate.
        total: how many items there are.
        description: what is being done, for the bar or line.
        unit: what one item is.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=description, unit=unit, leave=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and done < total:
            last = now
            left = (now - start) / done * (total - done)
            _LOGGER.info("%s: %d of %d %ss, about %.0f s left", description, done, total, unit, left)
