"""The script's own judgement: it must see every difference, and say nothing that the numbers do not."""

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import _reliability_bench as bench
from benchmarks import _reliability_compare as comparing
from benchmarks import _reliability_drift as drift
from benchmarks import _reliability_equality as equality
from benchmarks import _reliability_figure as figure
from benchmarks import _reliability_kills as kills
from benchmarks import _reliability_page as paging
from benchmarks import _reliability_places as places
from benchmarks import _reliability_words as words
from benchmarks._reliability_traps import Trap, _find

ROOT = Path(__file__).resolve().parents[2]


def state(value=1.0):
    history = {"values": torch.tensor([0.5, torch.nan], dtype=torch.float64)}
    return {"iteration": 4, "objects": {"network": {"weight": torch.tensor([value, 2.0])}, "history": history}}


@pytest.fixture
def make_run(tmp_path):
    """A folder as a run leaves it, without a store."""

    def make(name, **changes):
        folder = tmp_path / name
        (folder / "checkpoints" / "train").mkdir(parents=True)
        torch.save(state(**changes), folder / "checkpoints" / "train" / "checkpoint-00000004.pt")
        (folder / "history.csv").write_text("stage,epoch,iteration,name,value\ntrain,1,4,loss,0.5\n")
        (folder / "config.json").write_text(json.dumps({"seed": 0, "output_dir": str(folder)}))
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors").write_bytes(b"weights")
        return folder

    return make


def differences(first, second):
    return comparing.compare_runs(first, second, tracked=False).differences


def test_equal_runs_are_equal_and_counted(make_run):
    found = comparing.compare_runs(make_run("a"), make_run("b"), tracked=False)
    assert found.differences == []
    assert found.files == 4
    assert found.leaves == 3
    assert found.left_over == []


def test_one_bit_of_a_weight_is_seen(make_run):
    nudged = float(torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)))
    (line,) = differences(make_run("a"), make_run("b", value=nudged))
    assert line == "checkpoints/train/checkpoint-00000004.pt: /objects/network/weight: differs"
    assert differences(make_run("c", value=0.0), make_run("d", value=-0.0))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("history.csv", "stage,epoch,iteration,name,value\ntrain,1,4,loss,0.5000000000000001\n", "line 2 is train,1,4"),
        ("history.csv", "stage,epoch,iteration,name,value\n", "line 2 is (nothing)"),
        ("config.json", '{"seed": 1, "output_dir": ""}', "config.json: line"),
        ("model/model.safetensors", "weighty", "other bytes"),
        ("surprise.txt", "new", "only in the killed run"),
    ],
)
def test_a_changed_file_is_seen(make_run, name, content, told):
    first, second = make_run("a"), make_run("b")
    (second / name).write_text(content)
    (line,) = differences(first, second)
    assert told in line


def test_an_absent_file_is_seen(make_run):
    first, second = make_run("a"), make_run("b")
    (second / "model" / "model.safetensors").unlink()
    assert differences(first, second) == ["model/model.safetensors: only in the undisturbed run"]


def test_what_a_kill_leaves_is_counted_and_no_difference(make_run):
    first, second = make_run("a"), make_run("b")
    folder = second / "checkpoints" / "train"
    shutil.copy(folder / "checkpoint-00000004.pt", folder / "checkpoint-00000002.pt")
    (folder / ".tmp-abcdefgh.pt").write_bytes(b"half")
    (folder / "checkpoint-00000003.pt.damaged").write_bytes(b"half")
    found = comparing.compare_runs(first, second, tracked=False)
    assert found.differences == []
    assert [name.rsplit("/", 1)[-1] for name in found.left_over] == [
        ".tmp-abcdefgh.pt",
        "checkpoint-00000002.pt",
        "checkpoint-00000003.pt.damaged",
    ]


def test_a_newer_checkpoint_is_a_difference(make_run):
    first, second = make_run("a"), make_run("b")
    folder = second / "checkpoints" / "train"
    shutil.copy(folder / "checkpoint-00000004.pt", folder / "checkpoint-00000008.pt")
    assert differences(first, second) == ["checkpoints/train/checkpoint-00000008.pt: only in the killed run"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (torch.tensor([1.0, torch.nan]), torch.tensor([1.0, torch.nan]), True),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64), False),
        (torch.tensor([0.0]), torch.tensor([-0.0]), False),
        (torch.tensor([1.0]), torch.tensor([[1.0]]), False),
        (1, True, False),
        (float("nan"), float("nan"), True),
        (1, 1.0, False),
        ("a", "a", True),
    ],
)
def test_same_means_the_same_bits(first, second, same):
    assert comparing.is_same(first, second) is same


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A folder with a store of one finished run and its history."""
    from medmd.handlers import MLflowRun
    from medmd.handlers._history import Entry

    folder = tmp_path_factory.mktemp("tracked") / "run"
    entries = [Entry("train", 1, step, "loss", value) for step, value in ((1, 0.1), (2, float("nan")))]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run = MLflowRun(folder=folder)
        run.start(parameters={"seed": 0}, tags={"method": "sgm"})
        run.log(entries)
        run.log_values({"test/fusion_mae": 2.5})
        run.finish("FINISHED")
    (folder / "history.csv").write_text("stage,epoch,iteration,name,value\ntrain,1,1,loss,0.1\ntrain,1,2,loss,\n")
    return folder


@pytest.fixture
def copied(tracked, tmp_path):
    """A copy of that folder, a client of its store, and the id of its run."""
    from mlflow import MlflowClient

    folder = tmp_path / "copy"
    shutil.copytree(tracked, folder)
    client = MlflowClient(f"sqlite:///{folder / 'mlruns.db'}")
    return folder, client, json.loads((folder / "mlflow_run.json").read_text())["run_id"]


def test_equal_stores_are_equal(tracked, copied):
    found = comparing.compare_runs(tracked, copied[0])
    assert found.differences == []
    assert found.points == 3
    assert found.repeated == 0


def test_a_point_that_came_twice_is_counted(tracked, copied):
    folder, client, run = copied
    client.log_metric(run, "train/loss", 0.1, step=1)
    found = comparing.compare_runs(tracked, folder)
    assert found.differences == []
    assert found.repeated == 1


def test_every_difference_of_the_stores_is_seen(tracked, copied):
    folder, client, run = copied
    client.log_metric(run, "train/loss", 0.2, step=1)
    client.log_param(run, "extra", 1)
    client.set_tag(run, "method", "other")
    client.create_run(client.get_run(run).info.experiment_id)
    client.set_terminated(run, "FAILED")
    lines = comparing.compare_runs(tracked, folder).differences
    for told in ("2 runs", "is FAILED", "parameters extra", "tags method", "points train/loss", "history.csv 2"):
        assert any(told in line for line in lines), told


def test_a_run_whose_id_is_lost_is_seen(tracked, copied):
    folder, *_ = copied
    (folder / "mlflow_run.json").write_text('{"start": "x", "store": "folder", "experiment": "remd"}')
    assert "MLflow: mlflow_run.json names no run" in comparing.compare_runs(tracked, folder).differences


def test_a_number_that_the_store_lacks_is_seen(tracked, copied):
    folder, *_ = copied
    with (folder / "history.csv").open("a") as file:
        file.write("train,1,3,loss,0.3\n")
    assert comparing.compare_runs(tracked, folder).differences[-1].startswith("MLflow: train/loss has 2 points")


TRAPPED = """
import sys, pathlib, json
sys.path.insert(0, sys.argv[1])
from benchmarks._reliability_traps import Trap, _find
Trap(**json.loads(sys.argv[2])).set()
for name in "abc":
    pathlib.Path(sys.argv[3], name + ".tmp").write_text(name)
    pathlib.Path(sys.argv[3], name + ".tmp").replace(pathlib.Path(sys.argv[3], name))
import torch
with open(sys.argv[3] + "/saved", "wb") as file:
    torch.save({"x": torch.zeros(9999)}, file)
"""


@pytest.mark.parametrize(
    ("trap", "left"),
    [
        ({"target": "pathlib:Path.replace", "call": 2}, ["a", "b.tmp"]),
        ({"target": "pathlib:Path.replace", "call": 2, "when": "after"}, ["a", "b"]),
        ({"target": "pathlib:Path.replace", "match": "*/c"}, ["a", "b", "c.tmp"]),
        ({"target": "torch:save", "size": 1000}, ["a", "b", "c", "saved"]),
    ],
)
def test_a_trap_kills_at_its_place(tmp_path, trap, left):
    spec = json.dumps({"name": "x", **trap})
    done = subprocess.run([sys.executable, "-c", TRAPPED, str(ROOT), spec, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    if trap.get("size"):
        assert (tmp_path / "saved").stat().st_size == trap["size"]


class Marked:
    def call(self, word):
        return word.upper()


def test_a_mark_notes_each_call_and_kills_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "marked", Marked)
    monkeypatch.setattr(Marked, "call", Marked.call)
    Trap("word", "marked:call", when="after", marks=str(tmp_path / "marks")).set()
    assert [Marked().call(word) for word in ("a", "b")] == ["A", "B"]
    lines = (tmp_path / "marks").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["word", "word"]
    assert float(lines[0].split()[1]) <= float(lines[1].split()[1])


def test_every_place_exists():
    traps = [trap for group in places.PLACES.values() for trap in group]
    for trap in traps:
        owner, attribute = _find(trap.target)
        assert callable(getattr(owner, attribute)), trap
    assert len({trap.name for trap in traps}) == len(traps) > 50


def test_a_group_is_one_run_and_each_place_of_it_a_start():
    trials = [kills.chosen_places(group) for group in places.PLACES]
    assert len({trial.name for trial in trials}) == len(places.PLACES)
    assert [trial.strikes for trial in trials] == list(places.PLACES.values())
    quick = kills.chain(0)
    assert [isinstance(strike, float) for strike in quick.strikes] == [False, False, True]


def test_random_moments_are_the_seed_s(monkeypatch):
    random.seed(7)
    first = [kills.random_moments(number, 3, 50) for number in range(40)]
    random.seed(8)
    assert first == [kills.random_moments(number, 3, 50) for number in range(40)]
    assert first != [kills.random_moments(number, 4, 50) for number in range(40)]
    strikes = [strike for trial in first for strike in trial.strikes]
    assert {len(trial.strikes) for trial in first} == {2, 3, 4}
    assert sum(strike < 0 for strike in strikes) == 14
    assert kills.random_moments(5, 3, 1).strikes == first[5].strikes[:1]
    assert all(-1 <= strike < 1 for strike in strikes)
    assert sum(trial.plain for trial in first) == 2
    # Spread over the whole run.
    counts, _ = np.histogram([strike for strike in strikes if strike > 0], bins=4, range=(0, 1))
    assert counts.min() >= 8


def test_how_far_a_run_is_comes_from_its_files(tmp_path):
    assert bench.reached(tmp_path) == "before its folder was made"
    (tmp_path / "run.json").write_text("{}")
    assert bench.reached(tmp_path) == "before stage 1"
    (tmp_path / "progress.json").write_text('{"begun": ["pretrain"], "finished": []}')
    assert bench.reached(tmp_path) == "in pretrain"
    (tmp_path / "checkpoints" / "pretrain").mkdir(parents=True)
    (tmp_path / "checkpoints" / "pretrain" / "checkpoint-00000008.pt").touch()
    assert bench.reached(tmp_path) == "in pretrain, step 8 saved"
    (tmp_path / "progress.json").write_text('{"begun": ["pretrain"], "finished": ["pretrain"]}')
    assert bench.reached(tmp_path) == "after pretrain"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A short drift."""
    from medmd.data import PhantomCohort

    eyes = tmp_path_factory.mktemp("drift") / "eyes"
    PhantomCohort(16, 1).write(eyes, contact_sheet=False)
    told = []
    lanes = ("float32", "float64", "nudged")
    # Two threads on a busy machine wait for each other; the script alone measures them.
    found = drift.measure_drift(eyes, steps=6, every=3, tell=told.append, lanes=lanes)
    assert len(told) == len(lanes) < len(drift.LANES)
    return found


def test_drift_begins_at_nothing_and_stays_small(measured):
    assert measured["steps"] == 6
    for name, pair in measured["pairs"].items():
        assert pair["steps"] == [0, 3, 6]
        assert len(pair["loss"]) == len(pair["gamma"]) == 6
        # The nudge is there from the start; elsewhere only the arithmetic differs.
        assert pair["weights_relative"][0] == 0 or name == "nudged"
        assert pair["weights_relative"][-1] < 1e-3
        assert pair["predictions_rms_db"][-1] <= pair["predictions_largest_db"][-1] < 0.1
    wide = measured["pairs"]["float64"]
    assert 0 < wide["loss"][0] < 1e-4
    assert wide["weights_relative"][-1] > 0
    assert measured["pairs"]["nudged"]["weights_relative"][0] > 0


def test_drift_as_a_picture_and_in_words(measured):
    assert figure.draw_drift(measured).startswith(b"\x89PNG")
    sentence, _, *kinks = words.drift_words(measured)
    assert [line.partition(":")[0] for line in kinks] == ["- float64", f"- {drift.LANES['nudged'].title}"]
    assert f"{measured['pairs']['float64']['predictions_rms_db'][-1]:.1e} dB apart" in sentence


def test_a_course_against_itself_has_no_distance():
    course = drift.Course(
        steps=[0, 1],
        weights=[np.ones(3), np.full(3, 2.0)],
        predictions=[np.zeros(2), np.ones(2)],
        signs=[np.array([0b1100], dtype=np.uint8)],
        logs={"loss": [1.0], "gamma": [1.5], "cosine": [0.0]},
    )
    other = drift.Course(
        course.steps,
        [np.ones(3), np.full(3, 2.5)],
        [np.zeros(2), np.array([1.0, 4.0])],
        [np.array([0b1011], dtype=np.uint8)],
        course.logs,
    )
    same = drift.compare(course, course)
    assert all(set(map(float, values)) == {0.0} for name, values in same.items() if name != "steps")
    apart = drift.compare(course, other)
    np.testing.assert_allclose(apart["weights_relative"], [0, 0.25])
    np.testing.assert_allclose(apart["weights_of_way"], [0, 0.5])
    np.testing.assert_allclose(apart["predictions_rms_db"], [0, np.sqrt(4.5)])
    np.testing.assert_allclose(apart["predictions_largest_db"], [0, 3])
    assert apart["signs"] == [3]


def test_the_first_relu_on_the_other_side_is_told():
    pair = {"loss": [1e-6, 2e-6, 3e-3, 1e-3], "signs": [0, 0, 4, 9]}
    line = words._kink("float64", pair)
    assert "at step 3 the first ReLU" in line
    assert "(4 in its" in line
    assert "at most 2.0e-06, from it on by up to 3.0e-03" in line
    assert "no ReLU" in words._kink("float64", {"loss": [1e-6], "signs": [0]})


def test_every_relu_is_looked_at():
    signs = drift._Signs()
    with signs:
        values = torch.tensor([1.0, -1.0, 2.0, 0.0, 1.0, 1.0, -3.0, -4.0])
        for function in (torch.relu, torch.nn.functional.relu, torch.nn.ReLU(inplace=True)):
            function(values.clone())
    assert signs.take().tolist() == [0b10101100] * 3


def test_distances_of_leaves():
    first = {"/objects/network/a": torch.tensor([3.0, 4.0]), "/epoch": 2, "/text": "x"}
    second = {"/objects/network/a": torch.tensor([3.0, 4.5]), "/epoch": 2, "/text": "y"}
    found = equality._distance(first, second, list(first))
    assert found["largest"] == 0.5
    np.testing.assert_allclose(found["relative"], 0.5 / np.sqrt(29))
    assert [equality._kind(name) for name in first] == ["network", "counters", "counters"]


@pytest.mark.parametrize(
    ("line", "options", "recorded"),
    [
        ('config.json: line 9 is "num_workers": 1, instead of "num_workers": 0,', {"num_workers": 1}, True),
        ("MLflow: parameters num_workers: 1 instead of 0", {"num_workers": 1}, True),
        ("history.csv: line 2 is a instead of b", {"num_workers": 1}, False),
        ("mlruns/<run id>/artifacts/run.json: only in the undisturbed run", {"track": False}, True),
        ("mlruns/<run id>/artifacts/run.json: only in the undisturbed run", {"num_workers": 1}, False),
        ("model/model.safetensors: other bytes", {"track": False}, False),
    ],
)
def test_only_the_record_of_the_changed_setting_is_left_out(line, options, recorded):
    assert equality._is_recorded(line, options) is recorded


def trial(name, **changes):
    kill = {"place": "", "seconds": 0.6, "processor": 0.4, "reached": "before its folder was made"}
    plain = {"trial": name, "group": "random moment", "plain": False, "kills": [kill], "failure": None, "equal": True}
    counts = {
        "files": 50,
        "leaves": 900,
        "points": 70,
        "repacked": 0,
        "repeated": 0,
        "left_over": [],
        "differences": [],
    }
    return {**plain, **counts, **changes}


FACTS = {
    "git_revision": "0123456789abcdef-modified", "python": "3.11", "torch": "2", "monai": "1", "mlflow": "3",
    "cpu_count": 2, "processor": "P", "system": "Linux", "load_average": 1.0,
}  # fmt: skip


def kills_page(*trials):
    settings = {"pretrain_epochs": 4, "batch_size": 4}
    part = {"command": "python x", "environment": FACTS, "seed": 0, "settings": settings, "trials": list(trials)}
    return paging.page({"kills": {**part, "excluded": {"clock | times": "they pass"}}})


def test_the_page_counts_what_was_measured():
    place = {"place": "half written", "seconds": 3.0, "processor": 2.5, "reached": "in train, step 4 saved"}
    text = kills_page(
        trial("moment-00", repeated=3, left_over=["checkpoints/train/.tmp-abcdefgh.pt"], repacked=1),
        trial("place-00", group="inside saving", kills=[place]),
    )
    assert "2 times SIGKILL" in text
    assert "2 of 2 runs ended as the undisturbed one" in text
    assert "| random moment | 1 | 1 | 1 | 1 |" in text
    assert "| inside saving | half written | in train, step 4 saved | yes |" in text
    assert "in 1 of 2 runs, at most 3 points" in text
    assert "1 temporary files" in text
    assert "1 struck in the first second of the processor" in text
    assert "revision 0123456789ab-modified" in text
    assert "Not as the undisturbed run" not in text


def test_the_page_hides_no_failure():
    text = kills_page(
        trial("moment-00"),
        trial("moment-01", equal=False, differences=["history.csv: line 7 is | a", "b"]),
        trial("place-00", equal=False, failure="ended with code 1: medmd: error"),
    )
    assert "1 of 3 runs ended as the undisturbed one" in text
    assert "**Not as the undisturbed run:**" in text
    assert "history.csv: line 7 is / a (2 differences)" in text
    assert "ended with code 1: medmd: error" in text


def test_the_page_of_the_drift(measured):
    text = paging.page({"drift": {"command": "python x", "environment": FACTS, **measured}})
    assert "![Drift over the steps](reliability.png)" in text
    assert text.count("| float32 and ") == len(measured["pairs"]) == 2


def test_the_page_of_equality_and_of_the_overhead():
    distance = {"largest": 1e-4, "relative": 1e-5}
    threads = {
        "twice_equal": True, "leaves": 10, "leaves_that_differ": 4,
        "stages": {"train": {"network": {"leaves": 6, "differ": 4, **distance}}},
        "model": {"leaves": 6, **distance}, "predictions": {"fusion": {"largest_db": 3e-3, "rms_db": 1e-3}},
    }  # fmt: skip
    variations = {
        "again": {"title": "again", "equal": True, "files": 40, "leaves": 900, "differences": []},
        "workers": {"title": "1 worker", "equal": False, "files": 40, "leaves": 900, "differences": ["x: differs"]},
    }
    overhead = {
        "settings": {"batch_size": 8, "device": "cpu"}, "kill_at": 12, "equal": True, "whole_seconds": 60.0,
        "first_step_seconds": 20.0, "killed_seconds": 30.0, "resumed_seconds": 45.0,
        "resumed_first_step_seconds": 15.0, "lost_steps": 3, "overhead_seconds": 15.0, "overhead_of_run": 0.25,
        "save_seconds": 0.08, "saves": 9, "step_seconds": 0.4, "default_steps_per_epoch": 42,
        "default_epoch_seconds": 16.8, "save_of_default_epoch": 0.00476,
        "checkpoint_mib": {"pretrain": 9.5, "train": 9.75},
    }  # fmt: skip
    made = {"command": "python x", "environment": FACTS}
    text = paging.page(
        {
            "equality": {**made, "settings": {"threads": 1}, "variations": variations, "threads": threads},
            "overhead": {**made, **overhead},
        }
    )
    assert "| again | 40 | 900 | yes |" in text
    assert "| 1 worker | 40 | 900 | **no**: x: differs |" in text
    assert "4 of 10 leaves" in text
    assert "0.4 % of the 0.75 dB" in text
    assert "+15.0 s, +25 % of this short run; 3 steps were done twice" in text
    assert "80 ms (median of 9, flushed to disk), 0.48 % of a default epoch of 42 steps of 400 ms" in text
    assert "9.5 MiB in stage 1 and 9.8 MiB in stage 2" in text
