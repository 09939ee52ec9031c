"""SIGTERM and Ctrl-C to real processes that run the bundle, and the runs that go on after them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from ignite.engine import Events

from medmd.utils import STOP, Stopped, sha256_file

# MLflow 3.17 uses a loader strategy that SQLAlchemy 2.1 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*loader strategy:DeprecationWarning")
BUNDLE = Path(__file__).parents[2] / "bundles" / "remd"
PATIENCE = 600
ADVICE = "Start the same command again, and the run goes on where it stood."


def leaves(value, where=""):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{where}/{name}")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from leaves(item, f"{where}/{place}")
    elif isinstance(value, torch.Tensor):
        yield where, (str(value.dtype), tuple(value.shape), value.contiguous().numpy().tobytes())
    else:
        yield where, repr(value)


def result(folder, *stages):
    """All that a run leaves, bit for bit: the leaves of its newest checkpoints, history and predictions."""
    found = {}
    for stage in stages or ("pretrain", "train"):
        path = sorted((folder / "checkpoints" / stage).glob("checkpoint-*.pt"))[-1]
        found |= dict(leaves(torch.load(path, weights_only=True), f"{stage}/{path.name}"))
    for name in ("history.csv", "predictions.csv", "model/model.safetensors"):
        if (folder / name).exists():
            found[name] = sha256_file(folder / name)
    return found


def differing(a, b):
    return [name for name in a.keys() | b.keys() if a.get(name) != b.get(name)]


class Training:
    """A process of its own group that trains in `folder`."""

    def __init__(self, folder, phantom, **settings):
        settings = {
            "output_dir": folder, "dataset_dir": phantom, "device": "cpu", "threads": 1, "pretrain_epochs": 2,
            "train_epochs": 2, **settings,
        }  # fmt: skip
        files = str([str(BUNDLE / name) for name in ("train.json", "presets/tiny.json")])
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        self.out, self.err = folder.with_name(f"{folder.name}.out"), folder.with_name(f"{folder.name}.err")
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "monai.bundle", "run", "--config_file", files, *words],
                env=environment | {"OMP_NUM_THREADS": "1"},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def signal_at(self, text, number, *, group=False):
        """Send the signal when the log holds `text`; what the process said and its code."""
        try:
            until = time.monotonic() + PATIENCE
            while text not in self.out.read_text() and self.process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            (os.killpg if group else os.kill)(self.process.pid, number)
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        assert text in self.out.read_text()
        return code, self.err.read_text()


def said(text):
    """What the program itself said on standard error."""
    return [line for line in text.splitlines() if line.startswith("medmd:")]


def statuses(folder):
    with sqlite3.connect(folder / "mlruns.db") as store:
        found = store.execute("select run_uuid, status from runs").fetchall()
    store.close()
    return found


def test_a_run_that_was_ended_twice_by_the_system_and_by_the_user_equals_one_that_was_not(
    flow, finished, phantom, tmp_path
):
    folder = tmp_path / "run"
    code, text = Training(folder, phantom).signal_at("pretrain: epoch 1 of 2", signal.SIGTERM)
    assert code == 143
    assert said(text)[-1] == f"medmd: stopped by SIGTERM. {ADVICE}"
    assert "Traceback" not in text
    ((first, status),) = statuses(folder)
    assert status == "KILLED"

    # Ctrl-C reaches the loader's workers as well.
    process = Training(folder, phantom, num_workers=2)
    code, text = process.signal_at("train: epoch 1 of 2", signal.SIGINT, group=True)
    assert code == 130
    assert said(text)[-1] == f"medmd: stopped by SIGINT. {ADVICE}"
    assert "Traceback" not in text
    assert statuses(folder) == [(first, "KILLED")]

    flow(folder).run()
    assert differing(result(finished), result(folder)) == []
    assert statuses(folder) == [(first, "FINISHED")]
    assert not list(folder.rglob(".tmp-*"))


def stop_at(workflow, key, event):
    """Run until the signal that comes with an event of the engine `key`."""
    workflow.parser.get_parsed_content(key).add_event_handler(event, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped):
        workflow.run()
    assert not STOP.installed


PLACES = (
    ("pretrain#trainer", Events.ITERATION_STARTED(once=2)),
    ("pretrain#evaluator", Events.ITERATION_STARTED(once=1)),
    ("train#trainer", Events.ITERATION_STARTED(once=1)),
    ("train#trainer", Events.ITERATION_STARTED(once=5)),
    ("validate#evaluator", Events.ITERATION_STARTED(once=1)),
)


@pytest.mark.parametrize(
    ("overlays", "settings"),
    [
        (("presets/oct_only.json",), {}),
        # Its parts are stopped in memory too, by tests/handlers/test_stop.py.
        pytest.param(
            (),
            {"pretrain#trainer#views": 2, "pretrain#sampler#views": 2, "pretrain#contrastive_loss#queue_size": 16},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["one modality", "queue and two views"],
)
def test_within_epochs_and_validations_of_other_configurations(flow, tmp_path, overlays, settings):
    settings = {**settings, "track": False, "stages": ["pretrain", "train"]}
    flow(tmp_path / "whole", *overlays, **settings).run()
    for key, event in PLACES:
        stop_at(flow(tmp_path / "cut", *overlays, **settings), key, event)
    flow(tmp_path / "cut", *overlays, **settings).run()

    assert differing(result(tmp_path / "whole"), result(tmp_path / "cut")) == []


@pytest.mark.parametrize("stage", [pytest.param("pretrain", marks=pytest.mark.slow), "train"])
def test_with_checkpoints_inside_of_an_epoch_a_kill_costs_no_more_than_that(flow, finished, tmp_path, stage):
    class KilledError(Exception):
        """Stands for the end of the process."""

    def kill():
        raise KilledError

    settings = {"track": False, "stages": ["pretrain", "train"], "checkpoint_every": 1}
    workflow = flow(tmp_path / "run", **settings)
    workflow.parser.get_parsed_content(f"{stage}#trainer").add_event_handler(Events.ITERATION_STARTED(once=3), kill)
    with pytest.raises(RuntimeError):
        workflow.run()
    files = sorted(path.name for path in (tmp_path / "run" / "checkpoints" / stage).iterdir())
    assert files[-1] == "checkpoint-00000002.pt"
    flow(tmp_path / "run", **settings).run()

    assert differing(result(finished), {**result(tmp_path / "run"), **outputs(finished)}) == []


def outputs(folder):
    """Of a finished run, what the evaluation wrote."""
    return {name: sha256_file(folder / name) for name in ("predictions.csv", "model/model.safetensors")}


def test_more_epochs_of_a_finished_run(flow, finished, tmp_path, caplog):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("mlruns*", "mlflow_run.json", ".lock"))
    with caplog.at_level("INFO"):
        flow(folder, train_epochs=3, track=False).run()

    assert "train: 3 epochs instead of 2: from the checkpoint after epoch 2 on to epoch 3" in caplog.text
    assert "train: epoch 3 of 3" in caplog.text
    earlier = folder / "earlier" / "pretrain-2-train-2"
    for name, digest in outputs(finished).items():
        assert sha256_file(earlier / name) == digest
    assert (folder / "report" / "report.html").exists()
    assert json.loads((folder / "config.json").read_text())["train_epochs"] == 3
    history = (folder / "history.csv").read_text()
    assert history.startswith((finished / "history.csv").read_text())
    assert "train,3," in history
    # Started again, it is the finished run that it is.
    before = result(folder)
    flow(folder, train_epochs=3, track=False, stages=["train"]).run()
    assert differing(before, result(folder)) == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("method", sorted(path.name for path in (BUNDLE / "methods").glob("*.json")))
def test_every_method_within_epochs_and_validations(flow, tmp_path, method, workers):
    overlay = f"methods/{method}"
    settings = {"track": False, "stages": ["pretrain", "train", "evaluate"]}
    flow(tmp_path / "whole", overlay, **settings).run()
    has_stage_one = (tmp_path / "whole" / "checkpoints" / "pretrain").exists()
    for key, event in PLACES:
        if has_stage_one or not key.startswith("pretrain"):
            stop_at(flow(tmp_path / "cut", overlay, num_workers=workers, **settings), key, event)
    flow(tmp_path / "cut", overlay, num_workers=workers, **settings).run()

    stages = ("pretrain", "train") if has_stage_one else ("train",)
    assert differing(result(tmp_path / "whole", *stages), result(tmp_path / "cut", *stages)) == []
