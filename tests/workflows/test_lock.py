"""Two processes never share the folder of a run."""

import contextlib
import errno
import os
import signal
import subprocess
import sys

import pytest

from medmd.utils import MedmdError
from medmd.workflows import _lock
from medmd.workflows._lock import LOCK_FILE, hold_folder

HOLDER = """
import runpy, sys, time
from pathlib import Path
hold = runpy.run_path(sys.argv[1])["hold_folder"]
try:
    hold(Path(sys.argv[2]))
except ValueError as error:
    sys.exit(f"refused: {error}")
print("held", flush=True)
import os
if sys.argv[3] == "fork" and os.fork() == 0:
    time.sleep(60)
time.sleep(60)
"""


@pytest.fixture
def start(tmp_path):
    """Starts a process that holds the folder; ended with its children at the end."""
    begun = []

    def begin(folder, mode="plain"):
        command = [sys.executable, "-c", HOLDER, _lock.__file__, str(folder), mode]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        begun.append(process)
        assert process.stdout.readline() == "held\n", process.stderr.read()
        return process

    yield begin
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_another_process_is_refused_in_one_sentence_until_the_holder_is_gone(tmp_path, start):
    folder = tmp_path / "mueller-hans"
    holder = start(folder)
    with pytest.raises(MedmdError, match="another process is training in this folder") as caught:
        hold_folder(folder)
    assert "mueller-hans" not in str(caught.value)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    hold_folder(folder)
    assert [path.name for path in folder.iterdir()] == [LOCK_FILE]
    assert (folder / LOCK_FILE).read_bytes() == b""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_worker_that_outlives_a_killed_training_does_not_keep_the_folder(tmp_path, start):
    holder = start(tmp_path, "fork")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    hold_folder(tmp_path)


def test_the_same_process_may_come_again_and_a_folder_that_was_moved_aside_is_another(tmp_path, start):
    folder = tmp_path / "run"
    hold_folder(folder)
    hold_folder(folder)
    folder.rename(tmp_path / "run.1")
    hold_folder(folder)
    assert (folder / LOCK_FILE).exists()


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def refuse(_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_lock, "_lock", refuse)
    hold_folder(tmp_path / "run")
    assert "has no locks" in caplog.text
