"""Reads files and overrides as `python -m monai.bundle run` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue

_FLAG = re.compile(r"--|-[a-zA-Z]")


def split_words(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The files and the overrides among the words of a command line, in the spelling that MONAI takes.

    MONAI leaves the command line to `fire`: a value is a Python literal where it can be read as one, a name without a
    value is `True`, and `False` when it begins with `no`.
    """
    files: list[str] = []
    overrides: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _FLAG.match(word):
            files.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not equals and (not rest or _FLAG.match(rest[0])):
            is_negated = name.startswith("no")
            overrides[name[2:] if is_negated else name] = not is_negated
        else:
            overrides[name] = DefaultParseValue(value if equals else rest.pop(0))
    files = [*_as_files(overrides.pop("config_file", [])), *(file for word in files for file in _split_file(word))]
    return files, overrides


def _split_file(word: str) -> list[str]:
    """One word of the command line: a file, files with commas between them, or a list of files in brackets."""
    return [word] if Path(word).is_file() else _as_files(DefaultParseValue(word) if word[:1] in "[(" else word)


def _as_files(value: Any) -> list[str]:
    if isinstance(value, str) and "," in value and not Path(value).is_file():
        value = value.split(",")
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
