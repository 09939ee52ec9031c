"""What an audit lists."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

ALLOWED, NOTE, FINDING, UNREADABLE = "allowed", "note", "finding", "unreadable"


@dataclass(frozen=True)
class Entry:
    """One thing that would be evaluated, called, imported or unpickled, or that could not be told.

    Attributes:
        verdict: `allowed`, `note` (told, but no reason against it), `finding`, or `unreadable`.
        kind: `expression`, `import`, `target`, `setting`, `macro`, `logging`, `code`, `pickle`, `file` …
        file: its name in the bundle.
        where: the place in the configuration, for example `train#trainer#_target_`; empty for a whole file.
        line: counted from 1; 0 where there is none.
        text: as it is written.
        reason: why it is a finding.
    """

    verdict: str
    kind: str
    file: str
    where: str = ""
    line: int = 0
    text: str = ""
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)
