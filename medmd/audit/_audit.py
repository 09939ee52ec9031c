"""The audit of a bundle: every file of it, listed and judged without being believed."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medmd._version import __version__
from medmd.audit._config import Configs
from medmd.audit._entries import FINDING, UNREADABLE, Entry
from medmd.audit._files import file_entries
from medmd.audit._logging import logging_entries
from medmd.audit._nodes import MOST_JSON_BYTES, Node, UnreadableError, read_nodes
from medmd.audit._source import Member, Source, open_source
from medmd.utils import MedmdError

_CONFIGS = (".json", ".yaml", ".yml")
_LOGGING = (".conf", ".ini", ".cfg")
CLEAN, FOUND, INCOMPLETE = 0, 1, 2


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        paths: what was audited.
        files: how many files there are.
        entries: everything that was told, by file and line.
    """

    paths: tuple[str, ...]
    files: int
    entries: tuple[Entry, ...]

    @property
    def findings(self) -> list[Entry]:
        """What is not in the list of what a bundle may do."""
        return [entry for entry in self.entries if entry.verdict == FINDING]

    @property
    def unreadable(self) -> list[Entry]:
        """What could not be looked at."""
        return [entry for entry in self.entries if entry.verdict == UNREADABLE]

    @property
    def exit_code(self) -> int:
        """0 clean, 1 findings, 2 something could not be read, so that the audit is incomplete."""
        if self.unreadable:
            return INCOMPLETE
        return FOUND if self.findings else CLEAN

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        verdict = {CLEAN: "clean", FOUND: "findings", INCOMPLETE: "incomplete"}[self.exit_code]
        return {
            "medmd": __version__,
            "audited": list(self.paths),
            "files": self.files,
            "verdict": verdict,
            "entries": [entry.to_dict() for entry in self.entries],
        }


def audit_bundle(paths: str | Path | Sequence[str | Path]) -> Audit:
    """List everything in a bundle that would be evaluated, called, imported or unpickled; do none of it.

    Configuration files are judged together, as they may be laid over one another. A zip is read where it is. Nothing of
    the bundle is imported, and no more than 32 MiB of a file are read at a time.

    Args:
        paths: folders, zip files or configuration files.

    Returns:
        Its entries say what is not in the shipped list (`allowed.json`).

    Raises:
        MedmdError: a path cannot be read at all.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    with open_source(given) as source:
        entries = _entries(source)
        count = len(source.members) + len(source.odd)
    if count == 0:
        msg = f"{', '.join(map(str, given))}: expected a bundle, got a folder without files."
        raise MedmdError(msg)
    ordered = sorted(entries, key=lambda entry: (entry.file, entry.line, entry.where))
    return Audit(tuple(map(str, given)), count, tuple(ordered))


def _entries(source: Source) -> list[Entry]:
    entries = [Entry(FINDING, "file", name, reason=problem) for name, problem in source.odd]
    trees: dict[str, Node] = {}
    for member in source.members:
        entries += _look_at(member, trees)
    return entries + list(Configs(trees).entries())


def _look_at(member: Member, trees: dict[str, Node]) -> list[Entry]:
    """What is told of one file; a configuration goes to `trees`, to be judged with the others."""
    name = member.name.lower()
    try:
        if name.endswith(_CONFIGS):
            trees[member.name] = read_nodes(member.name, member.read(MOST_JSON_BYTES + 1))
            return []
        return _other(member, name)
    # A damaged member of a zip raises zlib.error or BadZipFile, which are neither OSError nor ValueError.
    except (UnreadableError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        return [Entry(UNREADABLE, "file", member.name, reason=" ".join(str(error).split())[:200])]


def _other(member: Member, name: str) -> list[Entry]:
    if name.endswith(_LOGGING):
        return list(logging_entries(member.name, member.read(MOST_JSON_BYTES + 1)))
    return list(file_entries(member))
