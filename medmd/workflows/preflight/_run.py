"""The entry: plain settings in, one error or one line of numbers out."""

from __future__ import annotations

import logging
from typing import Any

from medmd.utils import MedmdError
from medmd.workflows._parser import active_parser, resolve_literals
from medmd.workflows.preflight._examine import examine
from medmd.workflows.preflight._plan import Plan
from medmd.workflows.preflight._report import PreflightReport

_LOGGER = logging.getLogger(__name__)


class Later:
    """A part of the running bundle's configuration that is built when it is asked for, not before.

    Args:
        key: its name in the configuration.

    Raises:
        MedmdError: (constructor) no bundle is being run.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        parser = active_parser()
        if parser is None:
            msg = f"{key}: no bundle is being run; give the value itself."
            raise MedmdError(msg)
        self.parser = parser

    def __call__(self) -> Any:
        """Build it, or give what was built before."""
        return self.parser.get_parsed_content(self.key)

    def literal(self) -> Any | None:
        """As plain data; None when it holds an expression."""
        try:
            return resolve_literals(self.parser.config, self.key)
        except (MedmdError, LookupError):
            return None


def run_preflight(*, enabled: bool = True, network: Any = None, **settings: Any) -> PreflightReport | None:
    """Look at everything that can be known before a training, in seconds, and refuse what would fail after hours.

    Device, output folder, every file of the used cases by its header, one case through the preprocessing, the memory
    and the disk that will be needed against what is free. What is wrong comes as one error with a line for each
    problem; what may go well is logged as a warning; otherwise one line of numbers is logged.

    Args:
        enabled: false does nothing.
        network: plain description, or `Later("network")`.
        settings: the other attributes of `Plan`.

    Returns:
        What was found, or None when switched off.

    Raises:
        MedmdError: the run must not start.
    """
    if not enabled:
        return None
    description = network.literal() if isinstance(network, Later) else network
    report = examine(Plan(network=description, **settings))
    for problem in report.warnings:
        _LOGGER.warning("%s", problem)
    if not report.ok:
        raise MedmdError(report.error_text())
    _LOGGER.info("Preflight: %s.", report.summary())
    return report
