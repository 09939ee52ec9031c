"""What a replay folder holds; tests/end_to_end runs its script."""

import json
import math
import os

import pytest
import torch

from medmd.engines import StepRecord
from medmd.handlers import History
from medmd.handlers import _replay_script as script
from medmd.handlers._replay import Fault, case_rows, write_replay


@pytest.fixture
def record():
    return StepRecord(
        epoch=2,
        iteration=5,
        case_ids=["a", "b"],
        modalities=("oct",),
        present=torch.tensor([[True], [False]]),
        columns={"target": [torch.tensor([1.0, 2.0])], "prediction oct": [torch.tensor([math.nan, 9.0])]},
        losses={"loss_oct": torch.tensor(math.inf)},
    )


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "study" / "output"
    for number in (3, 6):
        path = folder / "checkpoints" / "train" / f"checkpoint-{number:08d}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"state {number}")
    (folder / "config.json").write_text("{}")
    return folder


def fault(record=None):
    return Fault(stage="train", step=7, epoch=2, text="what happened.", record=record)


def test_only_the_newest_checkpoint_and_what_is_there_is_taken(run, record):
    place = write_replay(run, fault(record), History()).parent

    files = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    assert files == ["checkpoints/train/checkpoint-00000006.pt", "config.json", "history.csv", "replay.py", "step.json"]
    facts = json.loads((place / "step.json").read_text())
    assert facts["cases"] == [
        {"case_id": "a", "target": 1.0, "prediction oct": "nan"},
        {"case_id": "b", "target": 2.0, "prediction oct": None},
    ]
    assert facts["losses"] == {"loss_oct": "inf"}


def test_a_second_replay_of_the_step_replaces_the_first(run):
    write_replay(run, fault(), History())
    (run / "checkpoints" / "train" / "checkpoint-00000009.pt").write_text("state 9")
    place = write_replay(run, fault(), History()).parent

    assert [path.read_text() for path in (place / "checkpoints" / "train").iterdir()] == ["state 9"]
    assert json.loads((place / "step.json").read_text())["cases"] == []


def test_the_copy_stays_when_the_run_removes_its_checkpoint_also_without_links(run, monkeypatch):
    for links in (True, False):
        if not links:
            monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
        place = write_replay(run, fault(), History()).parent
        newest = run / "checkpoints" / "train" / "checkpoint-00000006.pt"
        newest.unlink()
        assert (place / "checkpoints" / "train" / newest.name).read_text() == "state 6"
        newest.write_text("state 6")


@pytest.mark.parametrize(("where", "way"), [("study", "../../.."), ("elsewhere", None)])
def test_the_place_where_training_was_started_is_told_only_as_a_way_up(run, tmp_path, monkeypatch, where, way):
    (tmp_path / where).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / where)
    place = write_replay(run, fault(), History()).parent
    found = json.loads((place / "step.json").read_text())["working_folder"]

    assert found == way
    assert way is None or (place / way).resolve() == (tmp_path / where).resolve()


def test_the_script_shows_a_step_and_its_cases(record, capsys):
    script.show(record)
    lines = capsys.readouterr().out.splitlines()

    assert lines[0] == "Step 5 of epoch 2"
    assert lines[1].split() == ["loss_oct", "inf"]
    assert [line.split() for line in lines[3:5]] == [["a", "1", "nan"], ["b", "2", "-"]]
    assert case_rows(record)[0]["prediction oct"] == "nan"


def test_the_script_names_weights_that_were_no_numbers_before(capsys):
    network = torch.nn.Linear(2, 1)
    script.report_weights(network)
    network.bias.data[0] = math.nan
    script.report_weights(network)

    assert capsys.readouterr().out.split("\n\n")[:2] == [
        "Weights before the step: all finite", "Weights before the step: not finite: bias",
    ]  # fmt: skip


def test_the_script_tells_the_cause_of_what_monai_wraps():
    inner, outer = ValueError("x"), RuntimeError("wrapped")
    outer.__cause__ = inner
    assert script.root(outer) is inner
