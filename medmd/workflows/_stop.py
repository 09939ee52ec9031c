"""SIGTERM and Ctrl-C while a bundle runs."""

from __future__ import annotations

import weakref

from medmd.utils import STOP, outlive_stop_signals
from medmd.workflows._parser import active_parser

GO_ON = "Start the same command again, and the run goes on where it stood."
GO_ON_INSISTING = "Start the same command with --resume True, and the run goes on where it stood."


def stop_on_signals() -> None:
    """From now on, SIGTERM and Ctrl-C end the bundle that is being run with one sentence and the code 143 or 130.

    A `Session` gives the signals back at its end; without one, they go back when the bundle's parser is forgotten.
    """
    generation = STOP.install()
    STOP.advice = GO_ON
    parser = active_parser()
    if parser is not None:
        weakref.finalize(parser, STOP.restore, generation).atexit = False


def go_on_advice(resume: str | bool) -> str:
    """How a run that was started with `resume` goes on; `False` given again would begin it anew."""
    return GO_ON_INSISTING if resume is False else GO_ON


def steady_worker(worker: int) -> None:
    """Start a data loader's worker as MONAI does, and let it ignore the signals that its main process acts upon.

    Args:
        worker: its number.
    """
    from monai.data.utils import worker_init_fn

    outlive_stop_signals()
    worker_init_fn(worker)
