"""What a pickle would call and load, found by reading its instructions and never by running them."""

from __future__ import annotations

import io
import pickletools
from dataclasses import dataclass, field
from typing import Any, BinaryIO

_OTHER = object()
_MARK = object()
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
_GETS = ("GET", "BINGET", "LONG_BINGET")
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
UNKNOWN = "?"


@dataclass(frozen=True)
class GlobalName:
    """A class or function that a pickle names, as `module.name`."""

    text: str


@dataclass
class PickleContent:
    """What a pickle names.

    Attributes:
        names: every class or function as `module.name`, in order; `?` where the name is made while it is loaded.
        persistent: what identifies the data outside of it (for torch: the storages), tuples of texts, numbers and
            `GlobalName`.
    """

    names: list[str] = field(default_factory=list)
    persistent: list[Any] = field(default_factory=list)


def read_pickle(source: bytes | BinaryIO) -> PickleContent:
    """Follow the instructions of one pickle with placeholders in the place of objects.

    Args:
        source: the bytes, or a stream that stands at the pickle's beginning and is left behind its end.

    Raises:
        ValueError: it is no pickle, or a malformed one.
    """
    machine = _Machine()
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode, argument)
    except (IndexError, KeyError, TypeError, UnicodeError, AttributeError, OverflowError) as error:
        msg = f"malformed pickle ({error})"
        raise ValueError(msg) from error
    return machine.content


class _Machine:
    """The stack and the memory of an unpickler that holds only texts, numbers, tuples and names."""

    def __init__(self) -> None:
        self.content = PickleContent()
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, opcode: Any, argument: Any) -> None:
        """Carry out one instruction."""
        name = opcode.name
        if name in _PUTS:
            self.memo[int(argument)] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self.memo[int(argument)])
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        elif name in _TUPLES:
            self._tuple(self._pop(_TUPLES[name]))
        elif name == "TUPLE":
            self._tuple(self._pop_to_mark())
        elif not self._names(name, argument):
            self._any(opcode, argument)

    def _names(self, name: str, argument: Any) -> bool:
        """Instructions that name code or outside data."""
        if name == "GLOBAL":
            self._push_name(*str(argument).split(" ", 1))
        elif name == "STACK_GLOBAL":
            self._push_name(*self._pop(2))
        elif name == "INST":
            self._pop_to_mark()
            self._push_name(*str(argument).split(" ", 1))
        elif name.startswith("EXT"):
            # A number in a registry of the process that loads it: what it means cannot be told.
            self._push_name(_OTHER, _OTHER)
        elif name in ("BINPERSID", "PERSID"):
            self.content.persistent.append(self.stack.pop() if name == "BINPERSID" else argument)
            self.stack.append(_OTHER)
        else:
            return False
        return True

    def _any(self, opcode: Any, argument: Any) -> None:
        before = [item.name for item in opcode.stack_before]
        if "mark" in before:
            self._pop_to_mark()
            self._pop(before.index("mark"))
        else:
            self._pop(len(before))
        for item in opcode.stack_after:
            known = isinstance(argument, (str, int)) and not before
            self.stack.append(_MARK if item.name == "mark" else argument if known else _OTHER)

    def _push_name(self, module: Any, name: Any) -> None:
        plain = isinstance(module, str) and isinstance(name, str)
        text = f"{module}.{name}" if plain else UNKNOWN
        self.content.names.append(text)
        self.stack.append(GlobalName(text))

    def _tuple(self, items: list[Any]) -> None:
        # One level is all that is asked for; a deeper one could be made to grow without end.
        self.stack.append(tuple(_OTHER if isinstance(item, tuple) else item for item in items[:8]))

    def _pop(self, count: int) -> list[Any]:
        if count == 0:
            return []
        if count > len(self.stack):
            msg = "it takes from an empty stack"
            raise ValueError(msg)
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        taken = []
        while (item := self.stack.pop()) is not _MARK:
            taken.append(item)
        return taken[::-1]
