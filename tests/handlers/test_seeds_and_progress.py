import logging
import random
import sys

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events

from medmd.data import SeededSampler
from medmd.handlers import SeedIterations, ShowProgress
from medmd.utils import derive_seed


def _draws(*, seed=0, stage="train", start=0):
    found = {}

    def step(engine, batch):
        found[engine.state.iteration] = (torch.rand(()).item(), float(np.random.rand()), random.gauss(0, 1))

    engine = Engine(step)
    SeedIterations(seed=seed, stage=stage).attach(engine)
    engine.add_event_handler(Events.STARTED, lambda e: setattr(e.state, "iteration", start))
    engine.run([0, 0, 0, 0], max_epochs=1)
    return found


def test_numbers_depend_on_the_place_in_the_run_alone():
    whole = _draws()
    random.gauss(0, 1)
    torch.rand(3)
    rest = _draws(start=2)

    assert len({value for values in whole.values() for value in values}) == 12
    assert rest == {number: whole[number] for number in (3, 4)}
    assert _draws(seed=1)[1] != whole[1]
    assert _draws(stage="pretrain")[1] != whole[1]


def test_the_seed_is_the_one_that_torch_would_set():
    found = _draws()
    torch.manual_seed(derive_seed(0, "train", 1))

    assert found[1][0] == torch.rand(()).item()


@pytest.mark.parametrize("in_use", [True, False])
def test_a_gpu_is_seeded_when_it_is_in_use(monkeypatch, in_use):
    seeds = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: in_use)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    _draws()

    assert seeds == ([derive_seed(0, "train", step) for step in (1, 2, 3, 4)] if in_use else [])


def test_another_kind_of_device_is_seeded_as_torch_does_it(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    _draws()

    assert seeds == [derive_seed(0, "train", step) for step in (1, 2, 3, 4)]


def test_the_sampler_is_told_its_epoch_and_what_was_used():
    sampler = SeededSampler(12, seed=0, stage="train")
    told = []
    sampler.set_epoch = lambda epoch, skip=0: told.append((epoch, skip))
    engine = Engine(lambda engine, batch: None)
    SeedIterations(seed=0, stage="train", sampler=sampler, batch_size=4).attach(engine)

    def resume(engine):
        engine.state.epoch, engine.state.iteration = 1, 5

    engine.add_event_handler(Events.STARTED, resume)
    engine.run([0, 0, 0], max_epochs=3)

    assert told == [(2, 8), (3, 0)]


class _Terminal:
    """What a terminal is to the progress bar."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_that_starts_where_the_run_does(stage, tmp_path, monkeypatch):
    stage(tmp_path).run(stop_at=5)
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    handler = ShowProgress(stage="train")
    bars = []
    resumed = stage(tmp_path, further=(handler,))
    resumed.trainer.add_event_handler(Events.EPOCH_STARTED, lambda _: bars.append((handler._bar.n, handler._bar.total)))
    resumed.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: bars.append(handler._bar.n))
    resumed.run()

    assert bars == [(3, 9), 6, (6, 9), 9]
    assert handler._bar is None
    assert "train" in terminal.text


def test_elsewhere_a_line_an_epoch_with_new_metrics_only(stage, tmp_path, caplog):
    run = stage(tmp_path, epochs=2, interval=2)
    ShowProgress(stage="train", evaluator=run.evaluator).attach(run.trainer)
    chosen = ShowProgress(stage="chosen", evaluator=run.evaluator, metrics=["val_oct_mse", "absent"])
    chosen.attach(run.trainer)
    with caplog.at_level(logging.INFO, logger="medmd.handlers._progress"):
        run.run()
    lines = [record.getMessage() for record in caplog.records if record.name == "medmd.handlers._progress"]

    assert lines[0].startswith("train: epoch 1 of 2, about ")
    assert "mae" not in lines[0]
    assert lines[2].startswith("train: epoch 2 of 2, about 0 s left, val_fusion_mae ")
    assert "val_oct_mae" in lines[2]
    assert lines[3].startswith("chosen: epoch 2 of 2, about 0 s left, val_oct_mse ")
    assert "absent" not in lines[3]
