"""One sentence instead of a hundred lines when a user's input is at fault."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

from medmd.utils import MedmdError
from medmd.workflows._hide import hide, hide_places
from medmd.workflows._outside import explain_outside
from medmd.workflows._parser import active_parser

_LOGGER = logging.getLogger(__name__)
_PLACES = ("output_dir", "dataset_dir", "phantom_dir", "model_dir", "output_file")


def explain_errors(*, debug: bool = False) -> None:
    """From now on, an error in the configuration or the data that ends the program is shown as one sentence.

    MONAI wraps an error in a component twice or more, so that the sentence stands in the middle of some sixty lines of
    traceback. Explained are every `MedmdError` and what a configuration can do wrong while its components are built.
    Every other error is a fault of the program and shown as before.

    Neither sentence nor traceback nor log shows where data and results lie, see `hide_places`.

    Args:
        debug: whether to show the traceback before the sentence. Without it, the traceback goes to the log at level
            DEBUG.
    """
    if not isinstance(sys.excepthook, _Explain):
        sys.excepthook = _Explain()
    sys.excepthook.debug = debug is True
    parser = active_parser()
    hide_places({name: parser.config.get(name) for name in _PLACES} if parser is not None else {})


class _Explain:
    """The hook that Python calls with an uncaught exception."""

    def __init__(self) -> None:
        self.before = sys.excepthook
        self.debug = False

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sentence = _safely_explain(error)
        if sentence is None or self.debug:
            self._show(kind, error, trace)
        if sentence is not None:
            _LOGGER.debug("Traceback of the error below.", exc_info=(kind, error, trace))
            sys.stderr.write(f"medmd: error: {hide(sentence)}\n")

    def _show(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        if hide(text) == text:
            self.before(kind, error, trace)
        else:
            sys.stderr.write(hide(text))


def _safely_explain(error: BaseException) -> str | None:
    from medmd.workflows.check_config import explain

    try:
        return explain_outside(error) or explain(error)
    except Exception:  # noqa: BLE001 - an explanation that fails must not hide the error
        return None


def user_error(error: BaseException | None) -> MedmdError | None:
    """The `MedmdError` in a chain of causes, or `None`."""
    while error is not None and not isinstance(error, MedmdError):
        error = error.__cause__
    return error
