"""Why a file was not read."""

from __future__ import annotations

from medmd.utils import MedmdError


class RefusedError(MedmdError):
    """A file that is not, or must not be, read.

    The text never holds a value, a name or a path of the file: it may reach a report or a log.

    Args:
        reason: a short code in kebab case, such as `laterality-contradicts`, by which reports count.
        detail: what was found and expected, in words of the program and numbers only.
        fix: what the person at the device or the export can do.
    """

    def __init__(self, *, reason: str, detail: str, fix: str) -> None:
        super().__init__(f"{reason}: {detail} {fix}")
        self.reason = reason
        self.detail = detail
        self.fix = fix
