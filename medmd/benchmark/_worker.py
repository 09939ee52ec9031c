"""What a worker does with a job: run it, and write its folder, whatever comes of it."""

from __future__ import annotations

import logging
import threading
import traceback
import warnings
from pathlib import PurePath

from medmd.benchmark._ended import Ended
from medmd.benchmark._job import Job, Outcome, TuningJob
from medmd.benchmark._searches import forget_failure, note_failure
from medmd.benchmark._write_run import write_run
from medmd.utils import WriteError
from medmd.workflows import environment, scrub

_LOGGER = logging.getLogger(__name__)
# A worker of a cluster may have several threads, but PyTorch's generator is one a process.
_ONE_AT_A_TIME = threading.Lock()
_LONGEST = 500
# What `explain` adds for a training that a user starts.
_HINT = " --debug True shows the traceback."
_QUIET = ("medmd", "monai", "ignite")


def work_on(job: Job | TuningJob) -> Outcome:
    """Do a job. Nothing is raised: what goes wrong with a run is part of its result.

    Returns:
        How it ended; `broken` when results cannot be written.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _tune(job) if isinstance(job, TuningJob) else _run(job)
        except WriteError as error:
            return Outcome(job=job, status="broken", message=str(error))


def fit(job: Job, splits: tuple[str, ...]) -> Ended:
    """Train a network, or fit a peer.

    Args:
        job: which.
        splits: what to predict.
    """
    if job.method.peer is not None:
        from medmd.benchmark._peers import fit_peer

        return fit_peer(job, splits)
    from medmd.benchmark._train import train

    return train(job, splits)


def told(error: BaseException) -> dict[str, str]:
    """Type and message of an error, without paths, as a result keeps it."""
    from medmd.workflows.check_config import explain

    # Of a component that could not be built, the cause says more than MONAI's own sentence.
    explained = explain(error)
    words = str(error) if explained is None else explained.removesuffix(_HINT)
    text = str(scrub(" ".join(words.split()), name="_message"))
    if explained is None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{text} (at {PurePath(frame.filename).name}:{frame.lineno})"
    return {"type": type(error).__name__, "message": text[:_LONGEST]}


def lost(job: Job | TuningJob) -> Outcome:
    """The outcome of a job whose process died each time it was tried."""
    error = {"type": "WorkerDied", "message": "its process ended without a word; most often memory ran out"}
    if isinstance(job, TuningJob):
        note_failure(job, error)
        return Outcome(job=job, status="failed", message=error["message"])
    write_run(job.place, job.key, {**_about(job), "status": "failed", "error": error})
    return Outcome(job=job, status="failed", message=error["message"])


def _run(job: Job) -> Outcome:
    from medmd.benchmark._train import BOTH

    try:
        with _quiet():
            ended = fit(job, BOTH)
        result = {**_about(job), "status": "finished", **ended.facts(), "error": None}
        write_run(job.place, job.key, result, predictions=ended.predictions, history=ended.history)
    except WriteError:
        raise
    except Exception as error:
        _LOGGER.debug("%s failed.", job.key, exc_info=True)
        failure = told(error)
        write_run(job.place, job.key, {**_about(job), "status": "failed", "error": failure})
        return Outcome(job=job, status="failed", message=f"{failure['type']}: {failure['message']}")
    return Outcome(job=job, status="finished")


def _tune(job: TuningJob) -> Outcome:
    from medmd.benchmark._tune import tune

    try:
        forget_failure(job)
        with _quiet():
            tune(job)
    except WriteError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        failure = told(error)
        note_failure(job, failure)
        return Outcome(job=job, status="failed", message=f"{failure['type']}: {failure['message']}")
    return Outcome(job=job, status="finished")


def _about(job: Job) -> dict[str, object]:
    return {
        "label": job.method.label,
        "overlays": [*job.dataset.overlays, *job.method.overlays],
        "settings": dict(job.settings),
        "mlflow_run_id": None,
        "versions": _versions(),
    }


_VERSIONS: dict[str, str] = {}


def _versions() -> dict[str, str]:
    if not _VERSIONS:
        _VERSIONS.update(environment("cpu"))
    return dict(_VERSIONS)


class _quiet:  # noqa: N801 - read as a word
    """A block in which a training says nothing below a warning: thousands of them would fill the log."""

    def __enter__(self) -> None:
        self._before = {name: logging.getLogger(name).level for name in _QUIET}
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for name, level in self._before.items():
            logging.getLogger(name).setLevel(level)
