"""The program killed at moments nobody chose, and run again."""

import os
import signal
import subprocess
import sys
import time


def command(source, out):
    return [sys.executable, "-m", "data_prep.stage2", str(source), str(out), "--workers", "2", "--unsplit"]


def finish(source, out):
    done = subprocess.run(command(source, out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def volumes(out):
    return len(list((out / "oct").glob("stage2024-*"))) if (out / "oct").exists() else 0


def test_killed_and_run_again_gives_the_bytes_of_an_undisturbed_run(stage2024, tmp_path, snapshot):
    whole, out = tmp_path / "whole", tmp_path / "out"
    finish(stage2024, whole)
    for stop in (1, 6, 13):
        process = subprocess.Popen(command(stage2024, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and volumes(out) < stop:
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    finish(stage2024, out)
    assert snapshot(out) == snapshot(whole)
