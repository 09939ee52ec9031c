"""Checks a configuration without running it: nothing in it is evaluated, called or built."""

from medmd.workflows.check_config._check import check_config, check_content
from medmd.workflows.check_config._command_line import split_words
from medmd.workflows.check_config._explain import explain
from medmd.workflows.check_config._findings import COMMAND_LINE, ConfigReport, Finding, Place

__all__ = [
    "COMMAND_LINE",
    "ConfigReport",
    "Finding",
    "Place",
    "check_config",
    "check_content",
    "explain",
    "split_words",
]
