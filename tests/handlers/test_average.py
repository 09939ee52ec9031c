"""The running mean of the weights, against its definition and inside a stage."""

from __future__ import annotations

import copy

import pytest
import torch
from ignite.engine import Events
from torch import nn

from medmd.handlers._average import WeightAverage
from medmd.utils import MedmdError


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()


def _step(network, number):
    generator = torch.Generator().manual_seed(number)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
            else:
                tensor.add_(1)


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.999])
def test_it_is_the_recursion_written_out(decay):
    network, seen = _network(), []
    average = WeightAverage(network, decay)
    for number in range(20):
        _step(network, number)
        average.update()
        seen.append(copy.deepcopy(network.state_dict()))

    expected = seen[0]["0.weight"]
    for step, state in enumerate(seen, start=1):
        d = min(decay, step / (step + 9))
        expected = d * expected + (1 - d) * state["0.weight"]
    torch.testing.assert_close(average.average["0.weight"], expected)
    assert average.average["1.num_batches_tracked"] == 20
    assert not torch.equal(average.average["1.running_var"], seen[-1]["1.running_var"])


def test_weights_that_do_not_move_are_their_own_average():
    network = _network()
    average = WeightAverage(network, 0.9)
    for _ in range(5):
        average.update()
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(average.average[name], tensor)


def test_swapping_in_and_back_leaves_the_network_as_it_was():
    network = _network()
    average = WeightAverage(network, 0.5)
    average.swap_in()
    average.swap_back()
    for number in range(3):
        _step(network, number)
        average.update()
    before = copy.deepcopy(network.state_dict())
    average.swap_in()
    average.swap_in()
    assert torch.equal(network[0].weight, average.average["0.weight"])
    assert not torch.equal(network[0].weight, before["0.weight"])
    average.swap_back()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("decay", [0, 1, -0.1, 1.5])
def test_a_decay_outside_its_range(decay):
    with pytest.raises(MedmdError, match="average_weights: expected a decay between 0 and 1"):
        WeightAverage(_network(), decay)


def test_a_stage_trains_on_as_without_it_and_keeps_the_mean(stage, tmp_path):
    steps = {}

    def keep(name, run):
        def note(engine):
            weights = run.network.state_dict()
            steps.setdefault(name, []).append({key: value.clone() for key, value in weights.items()})

        run.trainer.add_event_handler(Events.ITERATION_COMPLETED, note)

    plain, averaged = stage(tmp_path / "a"), stage(tmp_path / "b", average_weights=0.9)
    keep("plain", plain)
    keep("averaged", averaged)
    plain.run()
    averaged.run()

    for one, other in zip(steps["plain"], steps["averaged"], strict=True):
        assert all(torch.equal(value, other[key]) for key, value in one.items())
    mean = WeightAverage(copy.deepcopy(averaged.network), 0.9)
    at_best = None
    per_epoch = len(steps["averaged"]) // averaged.trainer.state.max_epochs
    for number, weights in enumerate(steps["averaged"], start=1):
        mean.network.load_state_dict(weights)
        mean.update()
        if number == per_epoch * averaged.best.best.epoch:
            at_best = {name: tensor.clone() for name, tensor in mean.average.items()}
    assert all(torch.equal(tensor, at_best[name]) for name, tensor in averaged.network.state_dict().items())
    assert not torch.equal(
        averaged.best.best.weights["fusion_head.output.weight"], plain.best.best.weights["fusion_head.output.weight"]
    )
