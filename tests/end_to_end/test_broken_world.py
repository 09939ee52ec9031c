"""Vanished files, full disks and losses that are no numbers in the middle of a run, and going on after them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ignite.engine import Events

from medmd.utils import MedmdError, sha256_file
from medmd.workflows import user_error
from medmd.workflows._outside import explain_outside

STAGES = {"track": False, "stages": ["pretrain", "train"], "preflight": False}


def newest(folder: Path, stage: str) -> dict:
    path = sorted((folder / "checkpoints" / stage).glob("checkpoint-*.pt"))[-1]
    return torch.load(path, weights_only=True)


def assert_same_end(a: Path, b: Path) -> None:
    """Equal weights, optimizers, schedules, best weights and history of both stages."""
    for stage in ("pretrain", "train"):
        first, second = (dict(leaves(newest(each, stage)["objects"])) for each in (a, b))
        assert list(first) == list(second)
        assert [name for name in first if not same(first[name], second[name])] == []
    assert (a / "history.csv").read_bytes() == (b / "history.csv").read_bytes()


def leaves(value, where=""):
    if isinstance(value, (dict, list, tuple)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in pairs:
            yield from leaves(item, f"{where}/{name}")
    else:
        yield where, value


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    return a == b or (a != a and b != b)


def failure(workflow) -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        workflow.run()
    return caught.value


@pytest.fixture
def eyes(phantom, tmp_path):
    """A copy of the cohort that a test may damage, and the oct of a training case in it."""
    folder = tmp_path / "mueller-hans" / "eyes"
    shutil.copytree(phantom, folder)
    case = json.loads((folder / "datalist.json").read_text())["training"][5]
    return folder, case["case_id"], folder / case["inputs"]["oct"]


# Workers read a whole epoch of this cohort ahead: damage within the epoch may come after they have read the case.
_MOMENTS = [
    pytest.param(0, "vanished", Events.ITERATION_COMPLETED(once=4), marks=pytest.mark.slow),
    (2, "truncated", Events.EPOCH_COMPLETED(once=1)),
]


@pytest.mark.parametrize(("workers", "damage", "moment"), _MOMENTS)
def test_a_case_that_breaks_in_the_middle_of_a_run(flow, finished, eyes, tmp_path, workers, damage, moment):
    folder, case, path = eyes
    content = path.read_bytes()
    settings = {**STAGES, "dataset_dir": str(folder), "num_workers": workers, "cache": False}
    workflow = flow(tmp_path / "run", **settings)

    def harm(_):
        path.unlink() if damage == "vanished" else path.write_bytes(content[:1000])

    workflow.parser.get_parsed_content("train#trainer").add_event_handler(moment, harm)
    text = str(user_error(failure(workflow)))

    assert case in text
    assert ("no such file" if damage == "vanished" else "cannot be") in text
    assert "`medmd check`" in text
    assert "\n" not in text
    assert not any(word in text for word in ("mueller", str(tmp_path), path.name, "Traceback"))
    assert newest(tmp_path / "run", "train")["epoch"] == 1
    path.write_bytes(content)
    flow(tmp_path / "run", **settings).run()
    assert_same_end(tmp_path / "run", finished)


@pytest.mark.parametrize("what", ["checkpoint-00000006.pt", pytest.param("history.csv", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up(flow, finished, small_disk, what):
    disk = small_disk("40m")
    run, filler = disk / "run", disk / "filler"
    workflow = flow(run, **STAGES)
    trainer = workflow.parser.get_parsed_content("train#trainer")
    before = {}

    def fill(_):
        before.update({path: sha256_file(path) for path in (run / "checkpoints").rglob("*.pt")})
        room = shutil.disk_usage(disk).free
        filler.write_bytes(bytes(room - (0 if what == "history.csv" else 256 * 1024)))

    trainer.add_event_handler(Events.ITERATION_COMPLETED(once=6), fill)
    text = explain_outside(failure(workflow))

    assert text.startswith(f"{what} cannot be written: no space is left on its disk (")
    assert "start the same command again" in text
    assert str(disk) not in text
    assert {path: sha256_file(path) for path in before} == before
    assert sorted(before) == sorted((run / "checkpoints").rglob("*.pt"))
    filler.unlink()
    flow(run, **STAGES).run()
    assert_same_end(run, finished)


def test_a_full_disk_under_the_tracking_database(flow, small_disk):
    disk = small_disk("40m")
    workflow = flow(disk / "run", preflight=False, stages=["pretrain"])

    def fill(_):
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))

    workflow.parser.get_parsed_content("pretrain#trainer").add_event_handler(Events.ITERATION_COMPLETED(once=4), fill)
    text = explain_outside(failure(workflow))

    assert "no space is left on its disk" in text
    assert "\n" not in text
    assert str(disk) not in text


def test_data_that_may_not_be_written_trains(flow, finished, phantom, small_disk, tmp_path):
    disk = small_disk("60m")
    shutil.copytree(phantom, disk / "eyes")
    small_disk.read_only(disk)
    flow(tmp_path / "run", **STAGES, dataset_dir=str(disk / "eyes")).run()
    assert_same_end(tmp_path / "run", finished)


def test_a_folder_that_may_not_be_written_is_one_sentence(flow, small_disk):
    disk = small_disk("1m")
    small_disk.read_only(disk)
    with pytest.raises(RuntimeError) as caught:
        flow(disk / "run", **STAGES)
    text = explain_outside(caught.value) or str(user_error(caught.value))
    assert "read-only" in text
    assert "\n" not in text


def test_a_step_that_is_no_number_can_be_run_again(flow, tmp_path):
    run = tmp_path / "run"
    error = user_error(failure(flow(run, **STAGES, learning_rate=1e30)))
    assert isinstance(error, MedmdError)
    assert "pretrain: stopped at step 2 of epoch 1: oct/regression nan and fundus/regression nan." in str(error)
    assert not list(run.glob("checkpoints/*/*.pt"))

    (script,) = run.glob("replay/*/replay.py")
    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(script.with_name("step.json").read_text())
    shown = done.stdout[done.stdout.index("Step 2 of epoch 1") :]
    assert "Step 1 of epoch 1" in done.stdout
    assert all(case["case_id"] in shown for case in facts["cases"])
    assert "oct/regression" in shown
    assert "Weights before the step: all finite" in done.stdout
    assert "It ended with RuntimeError: Function " in shown
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files
