"""nonfinite="skip": a step whose losses or gradients are no numbers leaves nothing behind but a count."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from ignite.engine import Events

from medmd.balancing import OGMGE, SGM, JointLoss, MMPareto, UniformSum
from medmd.engines import SkippedSteps
from medmd.engines._skip import all_finite
from medmd.losses import AdaptiveMarginSupConLoss, MeanSquaredErrorLoss
from medmd.utils import MedmdError

BALANCERS = {
    "joint": JointLoss,
    "uniform": UniformSum,
    "ogm-ge": OGMGE,
    "mmpareto": MMPareto,
    "sgm": lambda: SGM(window_warmup=0),
    "sgm on the update": lambda: SGM(window_warmup=0, apply="update"),
}


def schedule(optimizer):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)


def everything(trainer):
    """The state after a step, as copies."""
    parts = {name: part for name, part in trainer.checkpointables().items() if name not in ("skipped", "scheduler")}
    return copy.deepcopy({name: part.state_dict() for name, part in parts.items()})


def flat(tree, where=""):
    if isinstance(tree, dict):
        return {k: v for name, item in tree.items() for k, v in flat(item, f"{where}/{name}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for place, item in enumerate(tree) for k, v in flat(item, f"{where}/{place}").items()}
    return {where: tree.numpy().tobytes() if isinstance(tree, torch.Tensor) else repr(tree)}


def differences(a, b):
    """Names of what differs; the schedule and the rate that it sets go on by intention."""
    first, second = flat(a), flat(b)
    names = {name for name in first.keys() | second.keys() if not name.endswith("/lr") and "/scheduler" not in name}
    return sorted(name for name in names if first.get(name) != second.get(name))


def follow(trainer):
    """State after each step, the first entry before all; logs of each step."""
    states, logs = [everything(trainer)], []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: states.append(everything(engine)))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: logs.append(dict(engine.logs)))
    trainer.run()
    return states, logs


def spoil(cases, row, name="oct", value=math.nan):
    cases[row][name] = cases[row][name].clone()
    cases[row][name].view(-1)[0] = value
    return cases


class Gradient(MeanSquaredErrorLoss):
    """A loss that is finite with a gradient that is not, for one target."""

    def __init__(self, target):
        super().__init__()
        self.target = target

    def forward(self, prediction, target):
        other = (target != self.target).all().to(prediction.dtype)
        # The slope of a root at 0 has no bound.
        return super().forward(prediction, target) + (prediction - prediction.detach() + other).sqrt().sum()


def make_fusion(tiny, cases, **options):
    network = tiny.network(norm="batch", dropout=0.2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    given = {"optimizer": optimizer, "scheduler": schedule(optimizer), "nonfinite": "skip", **options}
    return tiny.fusion(network, cases, **given)


@pytest.mark.parametrize("name", BALANCERS)
@pytest.mark.parametrize("bad", [0, 2], ids=["first step", "third step"])
def test_stage_two_skips_a_step_that_is_no_number_and_nothing_moves(tiny, name, bad):
    cases = spoil(tiny.cases(16, missing={3: "oct", 9: "fundus"}), 4 * bad + 1)
    states, logs = follow(make_fusion(tiny, cases, balancer=BALANCERS[name]()))

    assert differences(states[bad], states[bad + 1]) == []
    assert [bool(differences(a, b)) for a, b in pairwise(states)] == [step != bad for step in range(4)]
    assert [log["skipped"].item() for log in logs] == [float(step >= bad) for step in range(4)]
    assert [math.isnan(log["loss"].item()) for log in logs] == [step == bad for step in range(4)]
    assert "update_scale" not in logs[bad]


@pytest.mark.parametrize("target", [0, 2])
def test_a_gradient_that_is_no_number_is_skipped_although_the_loss_is_one(tiny, target):
    cases = tiny.cases(16)
    loss = Gradient(cases[4 * target + 3]["target"])
    trainer = make_fusion(tiny, cases, loss_function=loss, gradient_clip=1.0)
    states, logs = follow(trainer)

    assert all(math.isfinite(log["loss"].item()) for log in logs)
    assert differences(states[target], states[target + 1]) == []
    assert trainer.skipped.total == {"train": 1}
    assert "gradient_norm_unclipped" not in logs[target]
    assert all_finite(trainer.network.parameters())


def test_the_schedule_goes_on_in_a_skipped_step(tiny):
    # Also in the first of all, which PyTorch would warn of; warnings are errors here.
    rates = {}
    for name, cases in {"skipped": spoil(tiny.cases(16), 1), "whole": tiny.cases(16)}.items():
        trainer = make_fusion(tiny, cases)
        rates[name] = []
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED,
            lambda engine, seen=rates[name]: seen.append(engine.optimizer.param_groups[0]["lr"]),
        )
        trainer.run()
    assert rates["skipped"] == rates["whole"]
    assert len(set(rates["whole"])) == 4


@pytest.mark.parametrize("queue", [0, 6])
@pytest.mark.parametrize("bad", [0, 2])
def test_stage_one_skips_the_modality_that_is_no_number_and_trains_the_other(tiny, queue, bad):
    cases = spoil(tiny.cases(16), 4 * bad + 1)
    trainer = tiny.contrastive(
        tiny.network(norm="batch"),
        cases,
        nonfinite="skip",
        scheduler=schedule,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
        contrastive_loss=AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=queue),
    )
    states, logs = follow(trainer)

    moved = differences(states[bad], states[bad + 1])
    assert moved
    assert not [name for name in moved if "encoders.oct" in name or "unimodal_heads.oct" in name]
    assert not [name for name in moved if name.startswith("/tracks/oct")]
    assert [name for name in moved if "encoders.fundus" in name]
    assert [log["oct/skipped"].item() for log in logs] == [float(step >= bad) for step in range(4)]
    assert [log["fundus/skipped"].item() for log in logs] == [0.0] * 4
    assert trainer.skipped.total == {"oct": 1, "fundus": 0}


@pytest.mark.parametrize("stage", ["fusion", "contrastive"])
def test_a_run_without_a_bad_step_is_the_same_in_every_bit(tiny, stage):
    found = {}
    for how in ("stop", "skip"):
        make = getattr(tiny, stage)
        trainer = make(tiny.network(norm="batch", dropout=0.2), tiny.cases(16, missing={2: "oct"}), nonfinite=how)
        states, logs = follow(trainer)
        found[how] = (states[-1], [{n: v for n, v in log.items() if "skipped" not in n} for log in logs])
    assert differences(found["stop"], found["skip"]) == []


def test_counters_go_through_a_state_and_a_good_step_ends_a_row():
    counts = SkippedSteps()
    for skipped in (True, True, False, True):
        counts.now.clear()
        counts.note("train", skipped=skipped)
    again = SkippedSteps()
    again.load_state_dict(counts.state_dict())

    assert again.total == {"train": 3}
    assert again.in_a_row == {"train": 1}
    assert counts.now == ["train"]


@pytest.mark.parametrize("stage", ["fusion", "contrastive"])
def test_another_word_is_refused(tiny, stage):
    with pytest.raises(MedmdError, match=r"nonfinite must be one of \['stop', 'skip'\], got 'ignore'"):
        getattr(tiny, stage)(tiny.network(), tiny.cases(4), nonfinite="ignore")


def test_finite_is_said_of_nothing_too():
    assert all_finite([])
    assert not all_finite([torch.ones(2), torch.tensor(math.inf)])
