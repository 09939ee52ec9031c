"""Which verbs there are. A table, not a search through modules, so that the list costs no import."""

from __future__ import annotations

import argparse
import difflib
from importlib import import_module
from typing import Protocol, cast

from medmd.utils import MedmdError

VERBS = {
    "phantom": "write a synthetic cohort whose truth is known",
    "check": "check a datalist and every file that it names",
    "check-config": "check a configuration without running it",
    "split": "split a datalist by patient",
    "report": "write the evaluation report of a run or of a table of predictions",
    "benchmark": "run what a plan of methods, data sets and seeds lacks",
    "compare": "compare predictors on saved predictions, with intervals and tests",
    "reproduce": "print and write a table or figure of the paper from saved runs",
    "register": "hand a trained model over to the MLflow registry",
    "predict": "predict the Mean Deviation for new eyes",
    "audit": "list what a bundle would evaluate, call, import or unpickle, and judge it",
    "doctor": "tell what is installed, what the machine offers and what is missing",
    "bundle-path": "print the folder of an installed MONAI bundle",
}


class Verb(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work and return the exit code."""


def load_verb(name: str) -> Verb:
    """Import the module of a verb.

    Raises:
        MedmdError: there is no such verb; the text names the nearest one.
    """
    if name not in VERBS:
        near = difflib.get_close_matches(name, VERBS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Expected one of: {', '.join(VERBS)}."
        msg = f"unknown verb {name!r}. {hint} `medmd --help` describes them."
        raise MedmdError(msg)
    return cast("Verb", import_module(f"medmd.commands.{name.replace('-', '_')}"))
