"""What is wrong with a configuration, where, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

Level = Literal["error", "warning", "note"]
Path = tuple[str, ...]
# Stands for the file in places that come from the command line.
COMMAND_LINE = "command line"
_ORDER: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Place:
    """Where something is written: a file with a line and a column, counted from 1, or the command line."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join([self.file, *(str(part) for part in (self.line, self.column) if part is not None)])


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        level: `error` for what fails or silently does something else; `warning` for what is probably not meant; `note`
            for what could not be checked.
        kind: a short name, the same for all findings of one sort.
        path: of the entry, its keys from the top down.
        what: the fault, in words.
        place: where the entry is written.
        expected: what would be right.
        got: what stands there.
        fix: what to do.
    """

    level: Level
    kind: str
    path: Path
    what: str
    place: Place | None = None
    expected: str = ""
    got: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}" if self.place else self.sentence

    @property
    def sentence(self) -> str:
        """The finding without its file and line."""
        parts = [
            self.what,
            self.expected and f"expected {self.expected}",
            self.got and f"got {self.got}",
            self.fix and f"fix: {self.fix}",
        ]
        text = "; ".join(part for part in parts if part)
        return f"{show(self.path)}: {text}" if self.path else text

    def at(self, place: Place | None) -> Finding:
        """The same finding at a place."""
        return replace(self, place=place)


@dataclass
class ConfigReport:
    """All findings about a configuration, the gravest first.

    Attributes:
        files: that were read, in order.
        findings: sorted by level, then by place.
    """

    files: Sequence[str]
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The same fault may be met on two ways.
        self.findings = sorted(dict.fromkeys(self.findings), key=self._rank)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    @property
    def errors(self) -> list[Finding]:
        """The findings of level `error`."""
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """The findings of level `warning`."""
        return [finding for finding in self.findings if finding.level == "warning"]

    @property
    def exit_code(self) -> int:
        """0 without errors and warnings, 1 with warnings only, 2 with errors."""
        return 2 if self.errors else int(bool(self.warnings))

    def to_json(self) -> str:
        """The report as JSON text."""
        findings = [_as_json(finding) for finding in self.findings]
        return json.dumps({"ok": self.ok, "files": list(self.files), "findings": findings}, indent=2) + "\n"

    def _rank(self, finding: Finding) -> tuple[int, int, int, int, Path]:
        place = finding.place or Place(COMMAND_LINE)
        position = list(self.files).index(place.file) if place.file in self.files else len(self.files)
        return _ORDER.index(finding.level), position, place.line or 0, place.column or 0, finding.path


def _as_json(finding: Finding) -> dict[str, object]:
    place = finding.place or Place("")
    content = asdict(finding) | {"path": show(finding.path), "message": str(finding)}
    return content | {"file": place.file, "line": place.line, "column": place.column, "place": str(place)}


def show(path: Iterable[str]) -> str:
    """A path as it is written on MONAI's command line."""
    return "#".join(path)


def short(value: object) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
