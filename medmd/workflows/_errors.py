"""One sentence instead of a hundred lines when a user's input is at fault."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from medmd.utils import MedmdError

_LOGGER = logging.getLogger(__name__)


def explain_errors() -> None:
    """From now on, a `MedmdError` that ends the program is shown as its own sentence.

    MONAI wraps an error in a component twice or more, so that the sentence stands in the middle of some sixty lines of
    traceback. The traceback goes to the log at level DEBUG. Every other error is shown as before.
    """
    if not isinstance(sys.excepthook, _Explain):
        sys.excepthook = _Explain()


class _Explain:
    """The hook that Python calls with an uncaught exception."""

    def __init__(self) -> None:
        self.before = sys.excepthook

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        cause = user_error(error)
        if cause is None:
            self.before(kind, error, trace)
            return
        _LOGGER.debug("Traceback of the error below.", exc_info=(kind, error, trace))
        sys.stderr.write(f"medmd: error: {cause}\n")


def user_error(error: BaseException | None) -> MedmdError | None:
    """The `MedmdError` in a chain of causes, or `None`."""
    while error is not None and not isinstance(error, MedmdError):
        error = error.__cause__
    return error
