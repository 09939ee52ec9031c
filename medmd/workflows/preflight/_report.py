"""What was found before a start: one record a problem, and all of them together as one error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

REFUSAL = "refusal"
WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One reason not to start, or to think before.

    Args:
        setting: the setting to change.
        what: what is the matter.
        found: what is there; never a patient's name or path of a case. Empty where `what` is a whole sentence.
        expected: what a start needs.
        fix: what to do.
        level: `refusal`, or `warning` for what may go well.
        details: further lines, such as the first of many files.
    """

    setting: str
    what: str
    found: str = ""
    expected: str = ""
    fix: str = ""
    level: str = REFUSAL
    details: Sequence[str] = ()

    def __str__(self) -> str:
        line = self.what if self.what.startswith(f"{self.setting}:") else f"{self.setting}: {self.what}"
        if self.found:
            line = f"{line}; found {self.found}, expected {self.expected}. {self.fix}"
        return "\n    ".join([line, *self.details])


@dataclass(frozen=True, kw_only=True)
class PreflightReport:
    """All that was found.

    Args:
        problems: in the order in which they were looked for.
        facts: what was counted and measured, by name; bytes are integers.
        notes: what could not be estimated, and why.
    """

    problems: Sequence[Problem] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def refusals(self) -> list[Problem]:
        """The problems with which nothing must start."""
        return [problem for problem in self.problems if problem.level == REFUSAL]

    @property
    def warnings(self) -> list[Problem]:
        """The others."""
        return [problem for problem in self.problems if problem.level == WARNING]

    @property
    def ok(self) -> bool:
        """Whether the run may start."""
        return not self.refusals

    def error_text(self) -> str:
        """The refusal; of several, a line each after one that counts them."""
        found = self.refusals
        if len(found) == 1:
            return str(found[0])
        head = f"{len(found)} problems before the start, nothing was written."
        return "\n  ".join([head, *(str(problem) for problem in found)])

    def summary(self) -> str:
        """One line of numbers for a start that may go on."""
        words = [_word(name, number) for name, number in self.facts.items()]
        return ", ".join([*words, *self.notes])


def _word(name: str, number: int) -> str:
    return f"{number} {name}" if name in ("cases", "files") else f"{name} {size(number)}"


def size(number: float) -> str:
    """Bytes for a person: `512 KiB`, `37 MiB`, `1.2 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB" if number < 100 else f"{number:.0f} GiB"
