"""A process that has imported everything and forks a child for each start of the bundle, which so costs no imports.

Reads one JSON object a line: `words` of `python -m monai.bundle`, `log`, `folder` to work in, `traps`. Answers
`{"pid": …}` and, when that child has ended, `{"code": …}` (negative: the signal). The child leads a process group.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import threading
from typing import Any

from benchmarks._reliability_traps import Trap

# What a run imports, also late. Nothing of this may start a thread: a fork copies only the one that calls it.
_IMPORTS = (
    "monai.bundle.scripts",
    "mlflow.store.tracking.sqlalchemy_store",
    "alembic.command",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "medmd.data.phantom",
    "medmd.engines",
    "medmd.losses",
    "medmd.balancing",
    "medmd.networks",
    "medmd.report",
    "medmd.transforms",
    "medmd.workflows",
    "nibabel",
    "scipy.stats",
    "skimage.transform",
)


def main() -> None:
    """Serve until the input ends; a child leaves by running the bundle, and ends as any Python program does.

    With a request as its only word it is such a child itself.
    """
    if len(sys.argv) > 1:
        become(json.loads(sys.argv[1]))
        return
    import torch

    import medmd.handlers

    medmd.handlers.silence_telemetry()
    torch.set_num_threads(1)
    for name in _IMPORTS:
        importlib.import_module(name)
    if threading.active_count() > 1:
        sys.exit(f"A thread would be lost in the children: {threading.enumerate()}.")
    _tell({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            break
        _lead(child)
        try:
            _tell({"pid": child})
            _tell({"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])})
        except BrokenPipeError:
            # Whoever asked is gone.
            os._exit(1)
    else:
        return
    _lead(os.getpid())
    become(request)


def become(request: dict[str, Any]) -> None:
    """Turn this process into `python -m monai.bundle` with the request's words."""
    os.chdir(request["folder"])
    with open(request["log"], "ab", buffering=0) as log, open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    for trap in request["traps"]:
        Trap(**trap).set()
    sys.argv = ["monai.bundle", *request["words"]]
    runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)


def _lead(process: int) -> None:
    # By both parent and child, whoever comes first: the group must be there when it is to be killed.
    try:
        os.setpgid(process, process)
    except (PermissionError, ProcessLookupError):
        return


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
