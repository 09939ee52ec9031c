"""Checkpoints that were made to harm: nothing of them runs, and the stage does not begin with what they hold."""

import os
import pickle
import shutil
import zipfile

import pytest
import torch
from ignite.engine import Events

from medmd.utils import MedmdError

PROOF = "proof-that-code-ran"
NAME = "checkpoint-00000006.pt"


class Bomb:
    def __reduce__(self):
        return (os.system, (f"touch {PROOF}",))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoint of a stage after two of its epochs."""
    import runpy
    from pathlib import Path

    make = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["make_stage"]
    folder = tmp_path_factory.mktemp("saved") / "train"
    make(folder, keep=1).run(stop_at=8)
    assert [path.name for path in folder.iterdir()] == [NAME]
    return folder


@pytest.fixture
def folder(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(saved, tmp_path / "train")


def change(folder, edit):
    state = torch.load(folder / NAME, weights_only=True)
    edit(state)
    torch.save(state, folder / NAME)


def first_weight(state):
    return next(name for name, tensor in state["objects"]["network"].items() if tensor.ndim > 1)


def wrong_shape(state):
    name = first_weight(state)
    state["objects"]["network"][name] = torch.zeros(7, 7)


def wrong_shape_of_the_best(state):
    name = first_weight(state)
    state["objects"]["best"]["weights"][name] = torch.zeros(7, 7)


def best_without_a_weight(state):
    state["objects"]["best"]["weights"].pop(first_weight(state))


EDITS = {
    "objects no dictionary": lambda state: state.update(objects=[1, 2]),
    "object absent": lambda state: state["objects"].pop("optimizer"),
    "network a list": lambda state: state["objects"].update(network=[torch.ones(1)]),
    "network of texts": lambda state: state["objects"].update(network=dict.fromkeys(state["objects"]["network"], "x")),
    "optimizer a number": lambda state: state["objects"].update(optimizer=3),
    "history of wrong types": lambda state: state["objects"].update(history={"names": 1}),
    "balancer empty": lambda state: state["objects"].update(balancer={}),
    "weight absent": lambda state: state["objects"]["network"].pop(first_weight(state)),
    "weight too many": lambda state: state["objects"]["network"].update(evil=torch.ones(1)),
    "wrong shape": wrong_shape,
    "best of wrong shape": wrong_shape_of_the_best,
    "best incomplete": best_without_a_weight,
    "best a text": lambda state: state["objects"].update(best="x"),
    "epoch a text": lambda state: state.update(epoch="2"),
    "iteration absent": lambda state: state.pop("iteration"),
    "finished a number": lambda state: state.update(finished=1),
    "fingerprint a number": lambda state: state.update(fingerprint=1),
}


@pytest.mark.parametrize("name", sorted(EDITS))
def test_states_of_wrong_types_and_shapes_are_refused(stage, folder, name):
    change(folder, EDITS[name])
    with pytest.raises(MedmdError, match="checkpoint"):
        stage(folder).run()


def bomb(path):
    torch.save({"fingerprint": "abc", "iteration": 6, "epoch": 2, "finished": False, "objects": Bomb()}, path)


def bare_pickle(path):
    path.write_bytes(pickle.dumps(Bomb()))


def packed(path):
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in {**members, "archive/data/999": bytes(20_000_000)}.items():
            target.writestr(name, content)


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("make", [bomb, bare_pickle, packed, link, pipe])
def test_hostile_files_are_refused_or_set_aside(stage, folder, tmp_path, make):
    """With `resume=True` a file that is no checkpoint at all is as good as none, and that is refused."""
    make(folder / NAME)
    with pytest.raises(MedmdError, match="checkpoint"):
        stage(folder, resume=True).run()
    assert not list(tmp_path.rglob(PROOF))


def test_weights_that_are_not_finite_are_told(stage, folder, caplog):
    def spoil(state):
        state["objects"]["network"][first_weight(state)].fill_(float("nan"))

    change(folder, spoil)
    run = stage(folder)
    run.trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: engine.terminate())
    run.trainer.run()
    assert "hold numbers that are not finite" in caplog.text


def test_a_sound_checkpoint_raises_no_warning(stage, folder, caplog):
    run = stage(folder)
    run.trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: engine.terminate())
    run.trainer.run()
    assert "not finite" not in caplog.text
