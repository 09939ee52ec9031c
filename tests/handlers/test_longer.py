"""More epochs than planned: the schedule is that of the longer run, and what had ended goes on."""

import logging

import pytest
import torch
from ignite.engine import Events

from medmd.handlers._longer import FreshSchedules
from medmd.utils import MedmdError


def rates(run):
    owners = getattr(run.trainer, "tracks", [run.trainer])
    return [group["lr"] for owner in owners for group in owner.optimizer.param_groups]


def followed(run):
    """The learning rate of each step of the run, by its number."""
    found = {}
    run.trainer.add_event_handler(
        Events.ITERATION_STARTED, lambda engine: found.update({engine.state.iteration: rates(run)})
    )
    run.run()
    return found


@pytest.mark.parametrize("name", ["train", "pretrain"])
@pytest.mark.parametrize("stop_at", [None, 5], ids=["finished", "in the second epoch"])
def test_each_further_step_has_the_learning_rate_of_the_longer_run(stage, tmp_path, name, stop_at):
    whole = followed(stage(tmp_path / "whole" / name, stage=name, epochs=4))
    stage(tmp_path / "longer" / name, stage=name, epochs=2).run(stop_at=stop_at)
    further = followed(stage(tmp_path / "longer" / name, stage=name, epochs=4, init=9))

    first = 7 if stop_at is None else 4
    assert sorted(further) == list(range(first, 13))
    assert further == {step: whole[step] for step in further}
    assert further[12][0] > 0


def one_cycle(optimizer, steps):
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)


def warm_up(optimizer, steps):
    parts = [
        torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=4),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - 4),
    ]
    return torch.optim.lr_scheduler.SequentialLR(optimizer, parts, milestones=[4])


class Owner:
    """What `FreshSchedules` asks of a trainer."""

    def __init__(self, build, steps):
        self.parameter = torch.nn.Parameter(torch.ones(2))
        self.optimizer = torch.optim.AdamW([self.parameter], lr=0.01)
        self.scheduler = build(self.optimizer, steps)

    def step(self):
        self.parameter.grad = torch.ones(2)
        self.optimizer.step()
        self.scheduler.step()
        return {name: value for name, value in self.optimizer.param_groups[0].items() if name != "params"}


@pytest.mark.parametrize("build", [one_cycle, warm_up])
def test_schedules_of_other_forms_and_of_more_than_the_learning_rate(build):
    whole, short, longer = Owner(build, 20), Owner(build, 10), Owner(build, 20)
    expected = [whole.step() for _ in range(19)]
    for _ in range(9):
        short.step()
    fresh = FreshSchedules(longer)
    longer.optimizer.load_state_dict(short.optimizer.state_dict())
    longer.scheduler.load_state_dict(short.scheduler.state_dict())
    fresh.enter()

    assert [longer.step() for _ in range(10)] == expected[9:]


def test_without_a_schedule_the_longer_run_is_the_one_planned_so_from_the_start(stage, same, tmp_path):
    whole = stage(tmp_path / "whole" / "train", epochs=4, scheduler=None).run()
    stage(tmp_path / "longer" / "train", epochs=2, scheduler=None).run()
    longer = stage(tmp_path / "longer" / "train", epochs=4, scheduler=None, init=9).run()

    assert same(whole.everything(), longer.everything()) == []


def test_a_longer_run_that_is_stopped_and_goes_on_equals_one_that_is_not(stage, same, tmp_path):
    for name in ("whole", "stopped"):
        stage(tmp_path / name / "train", epochs=2).run()
    whole = stage(tmp_path / "whole" / "train", epochs=4).run()
    stage(tmp_path / "stopped" / "train", epochs=4, every=1).run(stop_at=9)
    resumed = stage(tmp_path / "stopped" / "train", epochs=4, init=9).run()

    assert same(whole.everything(), resumed.everything()) == []


def test_it_is_told_from_where_to_where_and_under_which_schedule(stage, tmp_path, caplog):
    stage(tmp_path / "train", epochs=2).run()
    with caplog.at_level(logging.INFO):
        stage(tmp_path / "train", epochs=4).run()

    assert (
        "train: 4 epochs instead of 2: from the checkpoint after epoch 2 on to epoch 4, with the schedule of 4 epochs "
        "(learning rate from 0 to 0.005)."
    ) in caplog.text


@pytest.mark.parametrize("name", ["train", "pretrain"])
def test_what_early_stopping_had_ended_goes_on_when_more_is_asked_for(stage, tmp_path, caplog, name):
    options = {"stage": name, "patience": 2, "interval": 1}
    ended = stage(tmp_path / name, epochs=20, **options).run().trainer.state.epoch
    assert ended < 20
    same_again = stage(tmp_path / name, epochs=20, **options).run()
    with caplog.at_level(logging.INFO):
        longer = stage(tmp_path / name, epochs=40, **options).run()

    assert same_again.trainer.state.epoch == ended
    assert longer.trainer.state.epoch >= ended + 1
    assert "early stopping had ended it, patience begins anew" in caplog.text


def test_the_best_weights_are_those_of_all_epochs(stage, tmp_path):
    stage(tmp_path / "train", epochs=3).run()
    longer = stage(tmp_path / "train", epochs=6, init=9).run()
    values = [entry.value for entry in longer.history if entry.name == "val_fusion_mse"]

    assert len(values) == 6
    assert longer.best.best.value == min(values)
    assert longer.best.best.epoch == 1 + values.index(min(values))


def test_fewer_epochs_than_were_trained_are_refused(stage, tmp_path):
    stage(tmp_path / "train", epochs=3).run()

    with pytest.raises(MedmdError, match="train: expected at least the 3 epochs already trained, got 2"):
        stage(tmp_path / "train", epochs=2).run()
