"""What a conversion did: every row and file that came in is converted or excluded for a named reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 5


@dataclass
class Tally:
    """Items that came in, by what became of them.

    Args:
        name: what is counted, in the plural, such as `visits`.
        total: how many came in.
        converted: how many went out.
        merged: how many went out as part of something else, such as the slices of a volume.
        excluded: reason -> names of the items, in order.
        word: what the excluded are called, in text and JSON.
    """

    name: str
    total: int
    converted: int = 0
    merged: int = 0
    excluded: dict[str, list[str]] = field(default_factory=dict)
    word: str = "excluded"

    def exclude(self, reason: str, item: str) -> None:
        """Note that `item` is left out because of `reason`."""
        self.excluded.setdefault(reason, []).append(item)

    @property
    def excluded_count(self) -> int:
        """How many items are left out."""
        return sum(len(items) for items in self.excluded.values())

    def check(self) -> None:
        """Check that nothing is lost or counted twice.

        Raises:
            RuntimeError: the numbers do not add up, a fault of the converter.
        """
        if self.total != self.converted + self.merged + self.excluded_count:
            msg = f"{self.name}: {self.total} in, but {self._sum()}"
            raise RuntimeError(msg)

    def as_json(self) -> dict[str, Any]:
        """Counts and names as JSON values, reasons in order of the alphabet."""
        reasons = {
            reason: {"count": len(items), "items": list(items)} for reason, items in sorted(self.excluded.items())
        }
        return {"total": self.total, "converted": self.converted, "merged": self.merged, self.word: reasons}

    def lines(self, reasons: Mapping[str, str]) -> list[str]:
        """A few lines for a person.

        Args:
            reasons: reason -> the words for it; a reason without words speaks for itself.
        """
        lines = [f"{self.name}: {self.total} in = {self._sum()}"]
        for reason, items in sorted(self.excluded.items()):
            lines.append(f"  {len(items):5d}  {reasons.get(reason, reason)} ({some(items)})")
        return lines

    def _sum(self) -> str:
        merged = f"{self.merged} merged + " if self.merged else ""
        return f"{self.converted} converted + {merged}{self.excluded_count} {self.word}"


@dataclass
class ConversionReport:
    """Everything that is said of one conversion; equal runs give equal reports, hence no clock times and no paths.

    Args:
        converter: name of the converter.
        arguments: what the result depends on.
        source: digests and names of what was read.
        tallies: what became of rows and files.
        reasons: reason -> the words for it.
        fixes: reason -> what to do about it.
        harmless: reasons for which nothing is to be done: what they exclude was never meant to be converted.
        facts: further findings as JSON values, such as duplicates and missing inputs.
        summary: further lines for a person.
    """

    converter: str
    arguments: Mapping[str, Any]
    source: Mapping[str, Any]
    tallies: Sequence[Tally]
    reasons: Mapping[str, str]
    fixes: Mapping[str, str] = field(default_factory=dict)
    harmless: frozenset[str] = frozenset()
    facts: dict[str, Any] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)

    @property
    def usable(self) -> int:
        """How many cases went out."""
        return self.tallies[0].converted

    @property
    def faulty(self) -> bool:
        """Whether anything is left out that somebody should look at."""
        return not self.harmless.issuperset(self._used_reasons())

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values.

        Raises:
            RuntimeError: a tally does not add up.
        """
        for tally in self.tallies:
            tally.check()
        used = self._used_reasons()
        return {
            "converter": self.converter,
            "arguments": dict(self.arguments),
            "source": dict(self.source),
            **{tally.name: tally.as_json() for tally in self.tallies},
            "reasons": {reason: self.reasons.get(reason, reason) for reason in used},
            "fixes": {reason: self.fixes[reason] for reason in used if reason in self.fixes},
            **self.facts,
        }

    def text(self) -> str:
        """The report for a person."""
        lines = [line for tally in self.tallies for line in tally.lines(self.reasons)]
        return "\n".join([*lines, *self.summary])

    def _used_reasons(self) -> list[str]:
        return sorted({reason for tally in self.tallies for reason in tally.excluded})


def some(items: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(items[:_SHOWN])
    return shown if len(items) <= _SHOWN else f"{shown}, … and {len(items) - _SHOWN} more in the report"


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, medmd and the packages that the result may depend on."""
    import platform
    from importlib.metadata import version

    from medmd import __version__

    return {"python": platform.python_version(), "medmd": __version__, **{name: version(name) for name in packages}}
