"""Real trainings, killed with SIGKILL and started again: they must end as one that nobody killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def measure(folder, *words):
    """The trials of `benchmarks.reliability --parts kills`."""
    places = ["--work", str(folder / "work"), "--out", str(folder / "out"), "--parts", "kills"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reliability", *places, *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Kills survived" in (folder / "out" / "reliability.md").read_text()
    return json.loads((folder / "out" / "reliability.json").read_text())["kills"]["trials"]


def assert_survived(trials, kills):
    lost = [(trial["trial"], trial["failure"], trial["differences"][:3]) for trial in trials if not trial["equal"]]
    assert lost == []
    assert sum(len(trial["kills"]) for trial in trials) == kills
    for trial in trials:
        # Not equal for want of something to compare.
        assert trial["files"] > 40
        assert trial["leaves"] > 1000
        assert trial["points"] > 100


def test_a_run_killed_in_validation_in_saving_and_at_a_random_moment_ends_as_if_it_had_not_been(tmp_path):
    trials = measure(tmp_path, "--moments", "0", "--places", "none", "--chain", "--epochs", "2")
    assert_survived(trials, 3)
    assert [bool(kill["place"]) for kill in trials[0]["kills"]] == [True, True, False]


@pytest.mark.slow
def test_twenty_kills_at_random_moments_and_at_chosen_places(tmp_path):
    assert_survived(measure(tmp_path, "--moments", "10", "--places", "inside saving"), 20)
