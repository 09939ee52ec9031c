"""A run that was stopped and goes on equals the run that was not, in every bit."""

import pytest
import torch
from ignite.engine import Events

from medmd.balancing import (
    ASAM,
    MGDA,
    OGMGE,
    SAM,
    SGM,
    SSESAM,
    CAGrad,
    ImbSAM,
    JointLoss,
    MMPareto,
    NashMTL,
    PCGrad,
    UniformSum,
)

BALANCERS = {
    "joint": JointLoss,
    "uniform": UniformSum,
    "ogm-ge": OGMGE,
    "mmpareto": MMPareto,
    "sam": SAM,
    "asam": ASAM,
    "pcgrad": PCGrad,
    "mgda": MGDA,
    "cagrad": CAGrad,
    "nash": NashMTL,
    "sgm": lambda: SGM(window=4, window_warmup=2),
    "sgm on the update": lambda: SGM(window=4, window_warmup=1, apply="update", probe_every=2),
}


def _compare(make, same, tmp_path, *, stop_at, **options):
    def settings():
        return {name: value() if name == "balancer" else value for name, value in options.items()}

    whole = make(tmp_path / "whole" / "stage", **settings()).run()
    make(tmp_path / "stopped" / "stage", **settings()).run(stop_at=stop_at)
    resumed = make(tmp_path / "stopped" / "stage", init=99, **settings())
    first = []
    resumed.trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: first.append(engine.state.iteration))
    resumed.run()

    assert same(whole.everything(), resumed.everything()) == []
    newest = [torch.load(each.checkpoint.files()[-1], weights_only=True) for each in (whole, resumed)]
    assert same(*newest) == []
    return whole, first[0]


@pytest.mark.parametrize("name", BALANCERS)
def test_stage_two_at_the_end_of_an_epoch(stage, same, tmp_path, name):
    _, first = _compare(stage, same, tmp_path, stop_at=5, balancer=BALANCERS[name])

    assert first == 4


@pytest.mark.parametrize(("every", "stop_at"), [(0, 7), (2, 6)])
def test_stage_two_with_averaged_weights(stage, same, tmp_path, every, stop_at):
    _compare(stage, same, tmp_path, stop_at=stop_at, every=every, average_weights=0.9)


@pytest.mark.parametrize("make", [ImbSAM, lambda: SSESAM(switch_after=6)], ids=["imb-sam", "sse-sam"])
def test_stage_two_with_rare_cases_apart(stage, same, tmp_path, make):
    _, first = _compare(stage, same, tmp_path, stop_at=5, balancer=make, tail_threshold=-8.0)

    assert first == 4


@pytest.mark.parametrize("options", [{}, {"queue": 6}, {"views": 2}, {"patience": 1, "epochs": 5}], ids=str)
def test_stage_one_at_the_end_of_an_epoch(stage, same, tmp_path, options):
    _, first = _compare(stage, same, tmp_path, stop_at=6 if "views" not in options else 8, stage="pretrain", **options)

    assert first == (4 if "views" not in options else 7)


@pytest.mark.parametrize("name", ["train", "pretrain"])
def test_inside_an_epoch(stage, same, tmp_path, name):
    whole, first = _compare(stage, same, tmp_path, stop_at=6, stage=name, every=1, log_every=4, queue=5)

    assert first == 6
    assert whole.trainer.state.iteration == 9


def test_inside_an_epoch_with_two_views(stage, same, tmp_path):
    _, first = _compare(stage, same, tmp_path, stop_at=9, stage="pretrain", every=2, views=2)

    assert first == 9


@pytest.mark.parametrize(("name", "every"), [("train", 0), ("train", 2), ("pretrain", 2)])
def test_with_workers(stage, same, tmp_path, name, every):
    whole, first = _compare(stage, same, tmp_path, stop_at=6, stage=name, every=every, workers=2)
    alone = stage(tmp_path / "alone", stage=name, every=every).run()

    assert first == (5 if every else 4)
    assert same(whole.everything(), alone.everything()) == []


def test_when_validation_is_not_done_every_epoch(stage, same, tmp_path):
    whole, _ = _compare(stage, same, tmp_path, stop_at=11, interval=2, epochs=5)
    epochs = {entry.epoch for entry in whole.history if entry.name == "val_fusion_mse"}

    assert epochs == {2, 4}


def test_with_micro_batches_bfloat16_and_clipping(stage, same, tmp_path):
    options = {"micro_batches": 2, "autocast_dtype": "bfloat16", "gradient_clip": 1.0}
    _compare(stage, same, tmp_path, stop_at=5, **options)


def test_after_several_stops(stage, same, tmp_path):
    whole = stage(tmp_path / "whole", every=2).run()
    for init, stop in enumerate((3, 4, 5, 8)):
        stage(tmp_path / "stopped", init=init, every=2).run(stop_at=stop)
    resumed = stage(tmp_path / "stopped", init=50, every=2).run()

    assert same(whole.everything(), resumed.everything()) == []


def test_a_finished_stage_only_puts_its_best_weights_back(stage, same, tmp_path):
    first = stage(tmp_path).run()
    steps = []
    again = stage(tmp_path, init=99)
    again.trainer.add_event_handler(Events.ITERATION_STARTED, lambda _: steps.append(1))
    again.run()

    assert steps == []
    assert same(first.everything(), again.everything()) == []


def test_a_stage_that_stopped_early_stays_ended(stage, same, tmp_path):
    options = {"patience": 1, "epochs": 30, "stage": "pretrain"}
    first = stage(tmp_path, **options).run()
    again = stage(tmp_path, init=99, **options).run()

    assert first.trainer.state.epoch < 30
    assert same(first.everything(), again.everything()) == []


def test_a_finished_stage_can_be_given_more_epochs(stage, same, tmp_path):
    def options(epochs):
        return {"epochs": epochs, "scheduler": None}

    whole = stage(tmp_path / "whole", **options(4)).run()
    stage(tmp_path / "longer", **options(2)).run()
    longer = stage(tmp_path / "longer", init=99, **options(4)).run()

    assert same(whole.everything(), longer.everything()) == []


@pytest.mark.parametrize("name", ["train", "pretrain"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(stage, same, tmp_path, name):
    runs = [stage(tmp_path / str(n), stage=name).run().everything() for n in (1, 2)]
    other = stage(tmp_path / "other", stage=name, init=1).run().everything()

    assert same(*runs) == []
    assert len(same(runs[0], other)) > 20
