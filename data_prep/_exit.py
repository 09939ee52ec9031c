"""What a converter tells its caller when it ends."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep._report import ConversionReport


class Exit(IntEnum):
    """Exit codes of converters; 1 is left to faults of the program."""

    DONE = 0
    BAD_CALL = 2
    QUARANTINE = 3
    NOTHING_USABLE = 4


EXIT_CODES = (
    "exit codes: 0 done, 2 wrong call or a source of another layout, 3 done with quarantine (see the report), "
    "4 nothing usable"
)


def exit_code(report: ConversionReport) -> Exit:
    """The code for a conversion that came to its end."""
    if not report.usable:
        return Exit.NOTHING_USABLE
    return Exit.QUARANTINE if report.faulty else Exit.DONE
