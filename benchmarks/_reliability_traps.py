"""Where a process kills itself: places that a random moment seldom meets, and the moments that are timed."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Trap:
    """One call of a function, at which the process dies or the time is noted.

    Attributes:
        name: for people.
        target: `module:attribute`, with dots inside a class.
        call: which of the matching calls, from 1.
        when: "before" or "after" the call.
        match: pattern that the text of one of the arguments must fit, such as the path of a file.
        size: with `torch:save`, how many bytes are written before the process dies; 0 leaves the file alone.
        marks: a file to which the time of every matching call is written; nothing dies then.
    """

    name: str
    target: str
    call: int = 1
    when: str = "before"
    match: str = "*"
    size: int = 0
    marks: str = ""

    def set(self) -> None:
        """Put the trap up in this process."""
        owner, attribute = _find(self.target)
        setattr(owner, attribute, _Watch(self).around(getattr(owner, attribute)))


def die() -> None:
    """As the system's killer ends a process: nothing is flushed, closed or told."""
    os.kill(os.getpid(), signal.SIGKILL)


class _Watch:
    def __init__(self, trap: Trap) -> None:
        self.trap = trap
        self.calls = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            here = self._is_here(args)
            if here and self.trap.size:
                args = (args[0], _Leak(args[1], self.trap.size), *args[2:])
            elif here and self.trap.when == "before":
                self._spring()
            found = function(*args, **options)
            if here and self.trap.when == "after":
                self._spring()
            return found

        return call

    def _is_here(self, args: tuple[Any, ...]) -> bool:
        # Not asked of every call: the text of a checkpoint's content is long.
        if self.trap.match != "*" and not any(fnmatch.fnmatchcase(str(each), self.trap.match) for each in args):
            return False
        self.calls += 1
        return bool(self.trap.marks) or self.calls == self.trap.call

    def _spring(self) -> None:
        if not self.trap.marks:
            die()
        with Path(self.trap.marks).open("a", encoding="utf-8") as file:
            file.write(f"{self.trap.name} {time.monotonic()!r}\n")


class _Leak:
    """A file of which only the beginning gets written."""

    def __init__(self, file: Any, size: int) -> None:
        self.file = file
        self.left = size

    def write(self, data: Any) -> int:
        content = bytes(data)
        self.file.write(content[: self.left])
        self.left -= len(content)
        if self.left <= 0:
            self.file.flush()
            die()
        return len(content)

    def flush(self) -> None:
        self.file.flush()


def _find(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, attribute = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, attribute
