"""What a logging configuration would evaluate: Python's `fileConfig` hands classes and arguments to `eval`."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator

from medmd.audit._entries import ALLOWED, FINDING, Entry
from medmd.audit._names import rules
from medmd.audit._nodes import UnreadableError

MOST_BYTES = 1 << 20
_STREAMS = re.compile(r"\bsys\.(stdout|stderr)\b")


def logging_entries(file: str, content: bytes) -> Iterator[Entry]:
    """Every class and every argument of handlers and formatters.

    Args:
        file: its name.
        content: INI text, as `logging.config.fileConfig` reads it.

    Raises:
        UnreadableError: it is no such text.
    """
    if len(content) > MOST_BYTES:
        msg = f"larger than {MOST_BYTES} bytes"
        raise UnreadableError(msg)
    parser = configparser.ConfigParser()
    try:
        text = content.decode("utf-8")
        parser.read_string(text)
        found = [(section, *pair) for section in parser.sections() for pair in parser.items(section)]
    except (configparser.Error, ValueError) as error:
        found = _without_formats(content, error)
    lines = content.decode("utf-8", errors="replace").splitlines()
    for section, key, value in found:
        if section.startswith(("handler", "formatter")) and key in ("class", "args", "kwargs", "defaults"):
            reason = _problem(key, value)
            line = next((n for n, text in enumerate(lines, 1) if value and value in text), 0)
            yield Entry(FINDING if reason else ALLOWED, "logging", file, f"{section}#{key}", line, value, reason)


def _without_formats(content: bytes, error: Exception) -> list[tuple[str, str, str]]:
    """Once more for a text in which `%(message)s` is no reference to another entry, as in every format."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode("utf-8"))
    except (configparser.Error, ValueError):
        raise UnreadableError(" ".join(str(error).split())[:200]) from error
    return [(section, *pair) for section in parser.sections() for pair in parser.items(section)]


def _problem(key: str, value: str) -> str:
    if key == "class":
        return "" if value in rules()["logging_classes"] else "is not in the list of classes that write to this machine"
    try:
        # A %-reference that could not be put in stands in no literal, and is refused with everything else.
        ast.literal_eval(_STREAMS.sub("0", value) or "()")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return "is evaluated, and is neither a literal nor sys.stdout or sys.stderr"
    return ""
