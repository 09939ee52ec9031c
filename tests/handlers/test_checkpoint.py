import copy
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ignite.engine import Events

from medmd.handlers import Checkpoint, check_checkpoints, remove_leftovers
from medmd.utils import MedmdError, atomic_path


def _names(run):
    return [path.name for path in run.checkpoint.files()]


@pytest.mark.parametrize(("keep", "expected"), [(1, [12]), (2, [9, 12]), (9, [3, 6, 9, 12]), (0, [12])])
def test_the_newest_stay(stage, tmp_path, keep, expected):
    run = stage(tmp_path, epochs=4, keep=keep).run()

    assert _names(run) == [f"checkpoint-{number:08d}.pt" for number in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == _names(run)


def test_only_its_own_files_are_removed(stage, tmp_path):
    strangers = ["checkpoint-1.pt", "checkpoint-00000001.pt.bak", "best.pt", "notes.txt"]
    for name in strangers:
        (tmp_path / name).write_text("mine")
    stage(tmp_path, keep=1).run()

    assert all((tmp_path / name).read_text() == "mine" for name in strangers)


def test_a_checkpoint_loads_without_code(stage, tmp_path):
    run = stage(tmp_path).run()
    state = torch.load(run.checkpoint.files()[-1], weights_only=True)

    assert (state["iteration"], state["epoch"], state["finished"]) == (9, 3, False)
    assert set(state["objects"]) >= {"network", "optimizer", "balancer", "scheduler", "best", "history"}


def test_another_configuration_is_refused_and_nothing_touched(stage, tmp_path):
    stage(tmp_path).run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with pytest.raises(MedmdError, match=r"another configuration or other data \(fingerprint abc, now xyz\)"):
        stage(tmp_path, fingerprint="xyz").run()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


IDENTITY = {
    "settings": {
        "network": {"_target_": "medmd.networks.MultimodalRegressor", "encoders": {"oct": {"depth": 18}}},
        "balancer": {"_target_": "medmd.balancing.SGM", "rho": 0.05},
        "method": "remd",
    },
    "datalist_sha256": "1" * 64,
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("settings", "network", "encoders", "oct", "depth"),
            r"It differs in network#encoders#oct#depth \(18 -> 0\)\. ",
        ),
        (("settings", "balancer", "_target_"), r'It differs in balancer#_target_ \("medmd.balancing.SGM" -> 0\)\. '),
        (("settings", "method"), r'It differs in method \("remd" -> 0\)\. '),
        (("datalist_sha256",), r"It differs in the datalist's content\. "),
    ],
    ids=["network", "balancer", "method", "datalist"],
)
def test_a_checkpoint_of_another_run_is_refused_and_says_how_it_differs(stage, tmp_path, change, told):
    run = stage(tmp_path / "one" / "train", identity=IDENTITY).run()
    other = copy.deepcopy(IDENTITY)
    place = other
    for name in change[:-1]:
        place = place[name]
    place[change[-1]] = 0
    target = tmp_path / "other" / "train" / run.checkpoint.files()[-1].name
    target.parent.mkdir(parents=True)
    shutil.copy(run.checkpoint.files()[-1], target)

    with pytest.raises(MedmdError, match=told):
        stage(target.parent, fingerprint="xyz", identity=other).run()
    with pytest.raises(MedmdError, match=told):
        check_checkpoints(target.parent, fingerprint="xyz", identity=other)
    check_checkpoints(target.parent, fingerprint="abc", identity=IDENTITY)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_checkpoint_of_the_other_stage_is_refused(stage, tmp_path):
    path = stage(tmp_path / "pretrain", stage="pretrain").run().checkpoint.files()[-1]
    (tmp_path / "train").mkdir()
    shutil.copy(path, tmp_path / "train")

    with pytest.raises(MedmdError, match="is a checkpoint of the stage pretrain, put into the folder of train"):
        stage(tmp_path / "train").run()


@pytest.mark.parametrize("content", [{"weight": torch.ones(3)}, [1, 2], {"fingerprint": 1, "objects": {}}], ids=str)
def test_a_file_of_another_kind_is_refused(stage, tmp_path, content):
    with (tmp_path / "checkpoint-00000003.pt").open("wb") as file:
        torch.save(content, file)

    with pytest.raises(MedmdError, match=r"checkpoint-00000003.pt \(checkpoint\) is refused"):
        stage(tmp_path).run()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000003.pt"]


def test_a_damaged_checkpoint_is_left_to_its_stage(tmp_path):
    check_checkpoints(tmp_path / "none", fingerprint="a", identity={})
    _empty(tmp_path / "checkpoint-00000003.pt")
    check_checkpoints(tmp_path, fingerprint="a", identity={})


def test_what_a_killed_save_left_is_removed_and_nothing_else(tmp_path):
    kept = [".tmp-mine", ".tmp-12345678-b.pt", "tmp-abcdefgh.pt", "checkpoint-00000001.pt", ".lock"]
    left = [".tmp-abcd_123.pt", ".tmp-k2j4h5g6", "below/.tmp-a2345678.nii.gz"]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        _empty(tmp_path / name)
    (tmp_path / ".tmp-folder12").mkdir()

    assert remove_leftovers(tmp_path) == 3
    assert remove_leftovers(tmp_path) == 0
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert found == {*kept, "below", ".tmp-folder12"}


@pytest.mark.parametrize("name", ["checkpoint-00000003.pt", "history.csv", "run.json", "plain"])
def test_the_names_that_are_removed_are_those_that_a_save_uses(tmp_path, name):
    with atomic_path(tmp_path / "saved" / name) as temporary:
        left = tmp_path / temporary.name
        _empty(left)

    assert remove_leftovers(tmp_path) == 1
    assert not left.exists()
    assert (tmp_path / "saved" / name).exists()


@pytest.mark.parametrize("every", [-1, -10])
def test_a_negative_interval_is_refused(tmp_path, every):
    with pytest.raises(MedmdError, match="checkpoint_every: expected a number of iterations"):
        Checkpoint(folder=tmp_path, every=every)


def _truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path):
    path.write_bytes(b"")


def _garbage(path):
    path.write_bytes(os.urandom(1000))


def _one_bit(path):
    data = bytearray(path.read_bytes())
    # Inside the first tensor, which zip stores uncompressed: only its checksum tells.
    data[data.index(b"data/0") + 100] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [_truncate, _empty, _garbage, _one_bit])
@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(stage, same, tmp_path, caplog, damage, keep):
    whole = stage(tmp_path / "whole").run()
    stopped = stage(tmp_path / "stopped", keep=2).run(stop_at=8)
    damage(stopped.checkpoint.files()[-1])
    first = []
    resumed = stage(tmp_path / "stopped", init=9, keep=keep)
    resumed.trainer.add_event_handler(Events.ITERATION_STARTED, lambda e: first.append(e.state.iteration))
    with caplog.at_level(logging.WARNING):
        resumed.run()

    assert first[0] == 4
    assert "checkpoint-00000006.pt is damaged; the one before it is used" in caplog.text
    assert same(whole.everything(), resumed.everything()) == []
    assert _names(resumed)[-1] == "checkpoint-00000009.pt"
    assert (tmp_path / "stopped" / "checkpoint-00000006.pt.damaged").exists()


def test_with_no_good_checkpoint_the_stage_begins_anew_and_says_so(stage, same, tmp_path, caplog):
    stopped = stage(tmp_path / "train").run(stop_at=8)
    whole = stage(tmp_path / "whole" / "train").run()
    names = _names(stopped)
    for path in stopped.checkpoint.files():
        _truncate(path)
    damaged = {path.name: path.read_bytes() for path in stopped.checkpoint.files()}
    again = stage(tmp_path / "train").run()

    assert same(whole.everything(), again.everything()) == []
    for name in names:
        assert f"{name} is damaged; it is set aside." in caplog.text
        assert (tmp_path / "train" / f"{name}.damaged").read_bytes() == damaged[name]
    assert "train: no checkpoint is whole; the stage begins anew, from its first step." in caplog.text


def test_who_insists_on_going_on_is_not_given_a_new_stage(stage, tmp_path):
    stopped = stage(tmp_path / "train").run(stop_at=5)
    for path in stopped.checkpoint.files():
        _truncate(path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()}

    for _ in range(2):
        with pytest.raises(MedmdError, match=r"every checkpoint is damaged \(checkpoint-00000003.pt\)"):
            stage(tmp_path / "train", resume=True).run()
        assert {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()} == before

    stage(tmp_path / "train").run(stop_at=2)
    with pytest.raises(MedmdError, match=r"every checkpoint is damaged \(checkpoint-00000003.pt.damaged\)"):
        stage(tmp_path / "train", resume=True).run()


def test_who_insists_begins_when_the_run_was_stopped_before_its_first_checkpoint(stage, tmp_path):
    assert stage(tmp_path / "train", resume=True).run().trainer.state.iteration == 9


def test_old_checkpoints_are_removed_after_a_resume_too(stage, tmp_path):
    stage(tmp_path, every=1, keep=20).run(stop_at=6)
    assert len(list(tmp_path.iterdir())) == 5
    resumed = stage(tmp_path, every=1, keep=2).run()

    assert _names(resumed) == ["checkpoint-00000008.pt", "checkpoint-00000009.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == _names(resumed)


def test_without_resume_earlier_checkpoints_are_moved_aside(stage, same, tmp_path):
    folder = tmp_path / "train"
    stage(folder, epochs=4).run()
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    for number in (1, 2):
        run = stage(folder, epochs=2, resume=False).run()
        assert (tmp_path / f"train.{number}").is_dir()

    assert {path.name: path.read_bytes() for path in (tmp_path / "train.1").iterdir()} == kept
    assert _names(run) == ["checkpoint-00000003.pt", "checkpoint-00000006.pt"]
    fresh = stage(tmp_path / "fresh", epochs=2).run()
    assert same(fresh.everything(), run.everything()) == []


def test_a_run_that_was_terminated_from_outside_is_not_finished(stage, same, tmp_path):
    whole = stage(tmp_path / "whole").run()
    limited = stage(tmp_path / "limited")
    limited.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), lambda engine: engine.terminate())
    limited.run()
    resumed = stage(tmp_path / "limited").run()

    assert limited.trainer.state.iteration == 5
    assert same(whole.everything(), resumed.everything()) == []


def test_a_crash_while_writing_leaves_the_checkpoint_before(stage, tmp_path, monkeypatch):
    run = stage(tmp_path)
    save = torch.save

    def fail(state, path):
        save(state, path)
        if state["iteration"] == 6:
            raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        run.run()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-00000003.pt"]


@pytest.mark.parametrize("every", [2, 3])
def test_checkpoints_inside_an_epoch(stage, tmp_path, every):
    seen = []
    run = stage(tmp_path, every=every, keep=20).run()
    for path in run.checkpoint.files():
        state = torch.load(path, weights_only=True)
        seen.append((state["iteration"], state["epoch"]))

    expected = {2: [(2, 0), (3, 1), (4, 1), (6, 2), (8, 2), (9, 3)], 3: [(3, 1), (6, 2), (9, 3)]}[every]
    assert seen == expected


KILLED = """
import os, runpy, sys
from pathlib import Path
from ignite.engine import Events
make = runpy.run_path(sys.argv[1])["make_stage"]
run = make(Path(sys.argv[2]), every=1, keep=1)
run.trainer.add_event_handler(Events.ITERATION_STARTED(once=6), lambda _: os.kill(os.getpid(), 9))
run.trainer.run()
"""


def test_a_process_that_is_killed_outright_goes_on(stage, same, tmp_path):
    whole = stage(tmp_path / "whole", every=1, keep=1).run()
    helper = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", KILLED, str(helper), str(tmp_path / "killed")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()[-2000:]
    resumed = stage(tmp_path / "killed", every=1, keep=1, init=9).run()

    assert same(whole.everything(), resumed.everything()) == []
