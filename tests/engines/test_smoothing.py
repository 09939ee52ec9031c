"""Feature smoothing inside both trainers: between encoder and head, once a step, in training alone."""

import functools
import io

import pytest
import torch

from medmd.balancing import SAM, SGM, UniformSum
from medmd.networks import FeatureSmoothing
from medmd.utils import MedmdError

FACTORY = functools.partial(FeatureSmoothing, low=-16.0, high=0.0, buckets=8)


def trainer_of(tiny, stage, network, cases, **options):
    make = {"train": tiny.fusion, "pretrain": tiny.contrastive}[stage]
    return make(network, cases, feature_smoothing=FACTORY, **options)


@pytest.mark.parametrize("stage", ["train", "pretrain"])
def test_heads_learn_from_what_the_smoothing_gives(tiny, stage):
    """Two epochs by hand: the second one's heads see re-coloured features of both modalities."""
    network, cases = tiny.network(), tiny.cases(8)
    trainer = trainer_of(tiny, stage, network, cases, max_epochs=3, batch_size=8)
    seen = {}

    def look(name, head, inputs):
        seen.setdefault(name, []).append(inputs[0].detach().clone())

    raw = {}
    for name in network.modalities:
        network.unimodal_heads[name].register_forward_pre_hook(functools.partial(look, name))
        # Registered first, hence called before the smoothing's hook.
        network.encoders[name].register_forward_hook(
            lambda _, __, out, name=name: raw.setdefault(name, []).append(out.detach().clone())
        )
    trainer.run()
    target = torch.stack([case["target"] for case in cases])
    for name in network.modalities:
        expected = FACTORY(features=8)
        for epoch in range(3):
            expected.begin(epoch + 1)
            wanted = expected(raw[name][epoch], target)
            torch.testing.assert_close(seen[name][epoch], wanted)
        assert torch.equal(seen[name][0], raw[name][0])
        assert not torch.equal(seen[name][1], raw[name][1])


@pytest.mark.parametrize("balancer", [UniformSum, SGM, SAM])
@pytest.mark.parametrize("parts", [1, 3])
def test_every_row_counts_once_however_often_a_method_looks(tiny, balancer, parts):
    cases = tiny.cases(8, missing={1: "oct", 4: "oct", 6: "fundus"})
    trainer = trainer_of(tiny, "train", tiny.network(), cases, balancer=balancer(), micro_batches=parts)
    trainer.run()
    counts = {name: each.counts.sum().item() for name, each in trainer.smoothing.modules.items()}
    assert counts == {"oct": 6, "fundus": 7}


def test_nothing_of_it_is_left_on_the_network(tiny):
    network, cases = tiny.network(), tiny.cases(8)
    names = set(network.state_dict())
    trainer_of(tiny, "train", network, cases, max_epochs=2).run()
    assert set(network.state_dict()) == names
    assert not any(encoder._forward_hooks for encoder in network.encoders.values())


@pytest.mark.parametrize("stage", ["train", "pretrain"])
@pytest.mark.parametrize("steps", [3, 4])
def test_a_stopped_run_goes_on_bit_for_bit(tiny, stage, steps):
    cases = tiny.cases(8)

    def build():
        network = tiny.network()
        return network, trainer_of(tiny, stage, network, cases, max_epochs=4)

    def finish(trainer):
        trainer.run()

    whole, trainer = build()
    states = {}

    def save(engine):
        if engine.state.iteration == steps:
            file = io.BytesIO()
            torch.save({name: item.state_dict() for name, item in engine.checkpointables().items()}, file)
            states["file"] = file

    from ignite.engine import Events

    trainer.add_event_handler(Events.ITERATION_COMPLETED, save)
    finish(trainer)
    stored = torch.load(io.BytesIO(states["file"].getvalue()), weights_only=True)
    resumed, again = build()
    assert "feature_smoothing" in stored
    for name, item in again.checkpointables().items():
        item.load_state_dict(stored[name])
    data = list(again.data_loader)
    again.state.iteration, again.state.epoch_length, again.state.epoch = steps, 2, 0
    # The steps that are left, called one by one as the engine would.
    from medmd.handlers import SeedIterations

    seeds = SeedIterations(seed=0, stage=stage)
    for iteration in range(steps + 1, 9):
        again.state.iteration, again.state.epoch = iteration, 1 + (iteration - 1) // 2
        seeds._start_iteration(again)
        again._iteration(again, data[(iteration - 1) % 2])
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_skipped_step_leaves_no_trace_in_the_statistics(tiny):
    cases = tiny.cases(8)
    cases[5]["oct"] = torch.full_like(cases[5]["oct"], torch.inf)
    trainer = trainer_of(tiny, "train", tiny.network(), cases, nonfinite="skip")
    trainer.run()
    assert trainer.smoothing.modules["oct"].counts.sum() == 4
    assert all(value.isfinite().all() for value in trainer.smoothing.modules["oct"].buffers())


@pytest.mark.parametrize("stage", ["train", "pretrain"])
def test_bfloat16(tiny, stage):
    network = tiny.network(norm="batch")
    trainer_of(tiny, stage, network, tiny.cases(8), max_epochs=3, autocast_dtype="bfloat16").run()
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_a_network_that_goes_round_its_encoders_is_refused(tiny):
    network = tiny.network()
    network.encoders["oct"].forward = None
    network._encode = lambda name, x: torch.zeros(len(x), 8)
    with pytest.raises(MedmdError, match="feature_smoothing"):
        trainer_of(tiny, "train", network, tiny.cases(8)).run()


def test_without_it_checkpoints_are_as_before(tiny):
    assert "feature_smoothing" not in tiny.fusion(tiny.network(), tiny.cases()).checkpointables()
    assert "feature_smoothing" not in tiny.contrastive(tiny.network(), tiny.cases()).checkpointables()
