"""One sentence about what ended a run from outside."""

import errno
import os
import signal
import sqlite3

import pytest
import torch
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from medmd.utils import MedmdError
from medmd.utils._storage import write_error
from medmd.workflows._outside import explain_outside

PATH = "/data/mueller-hans/x.csv"


def wrapped(first, *, chained=True):
    """As MONAI wraps what a component raises, or as one error happens while another is told."""
    try:
        try:
            raise first
        except BaseException as error:
            msg = "Failed to evaluate"
            if chained:
                raise RuntimeError(msg) from error
            raise
    except Exception as error:  # noqa: BLE001 - to be returned
        return error


def during(first, second):
    """`second` raised while `first` ends the program."""
    try:
        try:
            raise first
        finally:
            raise second
    except Exception as error:  # noqa: BLE001 - to be returned
        return error


class _Killed(torch.utils.data.Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_was_killed():
    with pytest.raises(RuntimeError) as caught:
        list(torch.utils.data.DataLoader(_Killed(), num_workers=1))
    told = explain_outside(wrapped(caught.value))
    assert told.startswith("num_workers: a process that loads data was ended from outside")
    assert "Lower num_workers" in told


def test_too_little_shared_memory():
    error = RuntimeError("unable to write to file </torch_12_34_0>: No space left on device (28)")
    assert explain_outside(error).startswith("num_workers: there is too little shared memory (/dev/shm)")


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "no space is left"), (errno.EACCES, "permission is denied")]
)
def test_a_file_is_told_by_its_name_alone(code, reason):
    told = explain_outside(wrapped(OSError(code, os.strerror(code), PATH)))
    assert told.startswith(f"x.csv cannot be used: {reason}")
    assert "mueller" not in told


def test_a_move_is_told_by_its_goal():
    assert explain_outside(OSError(errno.EROFS, "x", "/a/from", None, "/b/to")).startswith("to cannot be used")


def test_a_write_error_is_its_own_sentence():
    own = write_error(PATH, OSError(errno.ENOSPC, "full"))
    assert explain_outside(wrapped(own)) == str(own)


def test_a_database_on_a_full_disk(small_disk):
    disk = small_disk("128k")
    engine = create_engine(f"sqlite:///{disk / 'm.db'}")
    with engine.connect() as connection:
        connection.execute(text("create table t (x)"))
        connection.commit()
    (disk / "filler").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize))

    def fill():
        with engine.connect() as connection:
            connection.execute(text("insert into t values (:x)"), [{"x": "y" * 4000}] * 100)
            connection.commit()

    with pytest.raises(OperationalError, match="disk is full") as caught:
        fill()
    engine.dispose()

    told = explain_outside(wrapped(caught.value))
    assert told.startswith("The database of the MLflow runs cannot be used: no space is left on its disk.")
    assert str(disk) not in told


def test_what_ended_the_run_comes_before_what_could_not_be_closed():
    first = write_error("history.csv", OSError(errno.ENOSPC, "full"))
    second = sqlite3.OperationalError("database or disk is full")
    assert explain_outside(wrapped(during(first, second))) == str(first)


@pytest.mark.parametrize("error", [MedmdError("own"), ValueError("x"), FileNotFoundError(errno.ENOENT, "x", PATH)])
def test_everything_else_is_left_to_others(error):
    assert explain_outside(wrapped(error)) is None


def test_an_error_of_the_user_speaks_for_itself_whatever_lies_beneath():
    own = MedmdError("own")
    own.__cause__ = OSError(errno.ENOSPC, "full")
    assert explain_outside(wrapped(own)) is None
