"""What ended a run from outside the program: storage that refused, a process that was killed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from medmd.utils import MedmdError, WriteError, storage_fault

# What PyTorch says of a worker that is no more; from within, nobody could say anything.
_KILLED = re.compile(r"DataLoader worker .*(killed by signal|exited unexpectedly)", flags=re.DOTALL)
_SHARED_MEMORY = re.compile(r"unable to (?:write to|open|mmap|resize) .*(?:/torch_|shared memory)", flags=re.IGNORECASE)
_GO_ON = "start the same command again: the run goes on from its last checkpoint, which is whole."


def explain_outside(error: BaseException) -> str | None:
    """One sentence about a disk that is full, read-only or gone, or about a worker that was killed.

    Args:
        error: what ended the program.

    Returns:
        `None` when the cause is another, or a `MedmdError`, which says itself what is wrong.
    """
    causes = list(_chain(error, contexts=False))
    if any(isinstance(each, MedmdError) for each in causes):
        return None
    told = next((each for each in causes if isinstance(each, WriteError)), None)
    return str(told) if told else _killed(causes) or _refused(error)


def _refused(error: BaseException) -> str | None:
    reason = storage_fault(error)
    if reason is None:
        return None
    chain = list(_chain(error, contexts=True))
    # The record of a run that ends because its disk is full cannot be closed either: what ended it matters more.
    first = next((each for each in chain if isinstance(each, (MedmdError, WriteError))), None)
    return str(first or f"{_name(chain)}: {reason}. Make room or give permission, and {_GO_ON}")


def _name(chain: list[BaseException]) -> str:
    """The name of the file that an error is about; not its folder, which may be named after a patient."""
    for each in chain:
        if isinstance(each, OSError) and isinstance(each.filename2 or each.filename, str):
            return f"{PurePath(each.filename2 or each.filename).name} cannot be used"
        if type(each).__module__.partition(".")[0] in ("sqlite3", "sqlalchemy"):
            return "The database of the MLflow runs cannot be used"
    return "A file cannot be used"


def _killed(causes: list[BaseException]) -> str | None:
    text = "\n".join(str(each) for each in causes)
    if _SHARED_MEMORY.search(text):
        reason = "there is too little shared memory (/dev/shm) for the processes that load data"
    elif _KILLED.search(text):
        reason = "a process that loads data was ended from outside, most often because memory ran out"
    else:
        return None
    return f"num_workers: {reason}. Lower num_workers (0 needs no further process) or batch_size, and {_GO_ON}"


def _chain(error: BaseException | None, *, contexts: bool) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (error.__context__ if contexts else None)
