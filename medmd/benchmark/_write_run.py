"""The one writer of a run that has ended."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from medmd.benchmark._work import FORMAT, HISTORY, PREDICTIONS, RESULT, RunKey, Work
from medmd.report import write_predictions
from medmd.utils import MedmdError, WriteError, read_json, storage_fault, write_json

HISTORY_COLUMNS = ["stage", "epoch", "iteration", "name", "value"]
# Seconds after which a half-written run is nobody's. A worker of a cluster goes on after Ctrl-C, and may be writing
# when the next start looks. A write takes seconds, and on a share that is full or far away minutes; what is spared too
# long costs a few kilobytes until a later start.
LONGEST_WRITE = 3600.0
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST)
_TRIES, _SECONDS_BETWEEN = 50, 0.02


def write_run(
    work: Work,
    key: RunKey,
    result: Mapping[str, Any],
    *,
    predictions: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
) -> Path:
    """Write the folder of a run that has ended, all of it or nothing.

    One of that name that failed is replaced. One that is finished stays: another worker has done the same meanwhile,
    and MLflow may have been told of it.

    Args:
        work: where.
        key: which run.
        result: what `result.json` says besides format and key; `status` is `finished` or `failed`.
        predictions: table of predictions, rows of validation and testing; required of a finished run.
        history: table of numbers of the training in long form.

    Returns:
        The folder.

    Raises:
        ValueError: a finished run without predictions, or another status.
        MedmdError: the predictions are no table of predictions.
        WriteError: the disk is full, the folder read-only, the share gone, or the like.
    """
    if result.get("status") not in ("finished", "failed"):
        msg = f"status: expected finished or failed, got {result.get('status')!r}."
        raise ValueError(msg)
    if result["status"] == "finished" and predictions is None:
        msg = f"{key}: expected predictions of a finished run, got none."
        raise ValueError(msg)
    try:
        return _write(work.run(key), {"format": FORMAT, **result, **key._asdict()}, predictions, history)
    except WriteError:
        raise
    except OSError as error:
        raise _unwritten(key, error) from error


def _write(
    folder: Path, result: Mapping[str, Any], predictions: pd.DataFrame | None, history: pd.DataFrame | None
) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        if predictions is not None:
            write_predictions(temporary / PREDICTIONS, predictions)
        if history is not None:
            history[HISTORY_COLUMNS].to_csv(temporary / HISTORY, index=False)
        write_json(temporary / RESULT, result)
        temporary.chmod(0o755)
        _put(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _unwritten(key: RunKey, error: OSError) -> WriteError:
    """The error without the paths that the system's own names."""
    reason = storage_fault(error) or (os.strerror(error.errno) if error.errno else type(error).__name__)
    return WriteError(
        f"{key}: its folder cannot be written: {reason}. What has ended is kept. Make room or give permission and "
        "start the same command again, or name another folder with --work."
    )


def remove_leftovers(work: Work) -> None:
    """Remove what a kill left half written, except what another process may still be writing."""
    for pattern in (".tmp-*", ".old-*"):
        for path in (work.root / "runs").glob(f"*/*/{pattern}"):
            if _age(path) > LONGEST_WRITE:
                shutil.rmtree(path, ignore_errors=True)


def _age(path: Path) -> float:
    """Seconds since the folder was changed; 0 when it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _put(temporary: Path, folder: Path) -> None:
    """Give a written run its name. Another process may do the same at the same moment."""
    for attempt in range(_TRIES):
        try:
            temporary.rename(folder)
        except OSError as error:
            if error.errno not in _IN_THE_WAY or attempt == _TRIES - 1:
                raise
        else:
            return
        if _is_finished(folder):
            return
        _put_aside(folder)
        time.sleep(attempt * _SECONDS_BETWEEN)


def _is_finished(folder: Path) -> bool:
    try:
        return bool(read_json(folder / RESULT)["status"] == "finished")
    except MedmdError:
        # It is gone, or no result.
        return False


def _put_aside(folder: Path) -> None:
    # A folder cannot be renamed over one that holds files. Killed in between, the run counts as not done.
    old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(old / "run")
    if _is_finished(old / "run"):
        # It came between the look and the move.
        with contextlib.suppress(OSError):
            (old / "run").rename(folder)
    shutil.rmtree(old, ignore_errors=True)
