"""Killed at any moment and run again, and whatever the number of workers: the same bytes."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from clinical_dicom_export import default_eyes, write_pacs_export

SITE = "name: clinic\noct: {min_slices: 4}\nquality: {max_saturated_volume: 1.0}\n"


@pytest.fixture
def command(tmp_path):
    write_pacs_export(tmp_path / "export", eyes=default_eyes(5), shape=(8, 40, 32))
    (tmp_path / "export" / "scan.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "key").write_text("a key of at least 16 bytes")

    def words(out, *more):
        start = [sys.executable, "-m", "data_prep.hospital", str(tmp_path / "export"), str(tmp_path / out)]
        return [*start, "--config", str(tmp_path / "site.yaml"), "--key-file", str(tmp_path / "key"), *more]

    return words


def finish(words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    return done.stdout


def kill_when(words, ready):
    """Start the conversion and kill it; whether it had not ended before."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not ready():
        time.sleep(0.002)
    process.kill()
    return process.wait() == -signal.SIGKILL


def count(folder, pattern):
    return len(list(folder.glob(pattern)))


def test_killed_while_reading_writing_and_ending(command, tmp_path, snapshot):
    """One worker and two: the result of the killed runs is that of a run by one worker."""
    words, out = command("out", "--workers", "2"), tmp_path / "out"
    kill_when(words, lambda: (out / ".medmd-index.sqlite").exists())
    kill_when(words, lambda: count(out, "oct/*.nii.gz") + count(out, "fundus/*.png") >= 3)
    kill_when(words, lambda: (out / "datalist.json").exists())

    text = finish(words).replace(str(out), "OUT")

    whole = tmp_path / "whole"
    assert finish(command("whole", "--workers", "1")).replace(str(whole), "OUT") == text
    assert snapshot(out) == snapshot(whole)
    assert not list(out.rglob(".tmp-*"))


@pytest.mark.slow
def test_killed_twenty_times_at_random_moments(command, tmp_path, snapshot):
    whole = tmp_path / "whole"
    started = time.monotonic()
    finish(command("whole", "--workers", "2"))
    took = time.monotonic() - started
    moments, kills = np.random.RandomState(0), 0
    while kills < 20:
        out = f"out{kills // 5}"
        begins = time.monotonic()
        ends = begins + moments.uniform(0.1, 1.0) * took
        if kill_when(command(out, "--workers", "2"), lambda ends=ends: time.monotonic() > ends):
            kills += 1
        else:
            took = min(took, time.monotonic() - begins)
            # It ended before: this result is complete, and the next kills are for a new one.
            assert snapshot(tmp_path / out) == snapshot(whole)
            shutil.rmtree(tmp_path / out)
    for number in range(4):
        finish(command(f"out{number}", "--workers", "2"))
        assert snapshot(tmp_path / f"out{number}") == snapshot(whole)
