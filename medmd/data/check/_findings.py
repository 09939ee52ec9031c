"""What a check found: one record a finding, and the report that holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

REFUSAL = "refusal"
WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One departure from the rules.

    Args:
        rule: short name of the rule, as `patient-in-two-splits`.
        level: `refusal` (the datalist must not be used) or `warning`.
        expected: what the rule asks for.
        found: what is there instead; never a path or an identifier.
        fix: how to mend it.
        case_id: pseudonym of the case, None for the datalist as a whole.
        split: the list in which the case stands.
        input: name of the input, where the finding is about one.
    """

    rule: str
    level: str
    expected: str
    found: str
    fix: str
    case_id: str | None = None
    split: str | None = None
    input: str | None = None

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                f"case {self.case_id}" if self.case_id else None,
                f"list {self.split}" if self.split else None,
                f"input {self.input}" if self.input else None,
            )
            if part
        )
        place = f" [{where}]" if where else ""
        return f"{self.level} {self.rule}{place}: expected {self.expected}; found {self.found}. {self.fix}"


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The result of `check_datalist`.

    Args:
        name: file name of the datalist.
        findings: refusals first, each kind in file order.
        summary: counts, age, laterality and the target's histogram; empty when the document could not be parsed.
        hashed: whether file contents were read and compared.
    """

    name: str
    findings: Sequence[Finding]
    summary: Mapping[str, Any]
    hashed: bool

    @property
    def ok(self) -> bool:
        """Whether nothing was refused."""
        return not self.refusals

    @property
    def refusals(self) -> list[Finding]:
        """The findings that forbid the use of the datalist."""
        return [finding for finding in self.findings if finding.level == REFUSAL]

    @property
    def warnings(self) -> list[Finding]:
        """The findings to look at."""
        return [finding for finding in self.findings if finding.level == WARNING]

    def to_json(self) -> str:
        """The report as JSON text, equal for equal findings."""
        content = {
            "datalist": self.name,
            "ok": self.ok,
            "contents_compared": self.hashed,
            "refusals": len(self.refusals),
            "warnings": len(self.warnings),
            "findings": [asdict(finding) for finding in self.findings],
            "summary": self.summary,
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """The report as one page without links to anything outside."""
        from medmd.data.check._html import render

        return render(self)
