"""Losses that see the whole output of the network: the hook of stage 2, and what refuses them."""

import math

import pytest
import torch
from ignite.engine import Events
from torch import nn

from medmd.balancing import OGMGE, SGM, ImbSAM, Losses, MMPareto, UniformSum
from medmd.engines import WholeLoss
from medmd.losses import MeanSquaredErrorLoss
from medmd.networks import Predictions
from medmd.utils import MedmdError


class SquaredErrors(nn.Module):
    """The mean squared error of every head, as a loss of the whole output; keeps what it was given."""

    def __init__(self, scores=None):
        super().__init__()
        self.scores = scores
        self.given = []

    def losses(self, predictions, target, rows):
        self.given.append((predictions, target, rows))
        fusion = (predictions.fusion - target).square().mean()
        unimodal = {}
        for name, found in rows.items():
            error = (predictions.unimodal[name] - target).square()
            error = error if found is None else error[found]
            unimodal[name] = error.mean() if len(error) else target.new_zeros(())
        return (fusion, unimodal) if self.scores is None else (fusion, unimodal, self.scores)


class TasksOnly(SquaredErrors):
    """Two tasks without a fused loss."""

    def losses(self, predictions, target, rows):
        _, unimodal = super().losses(predictions, target, rows)
        return None, unimodal


def outputs_of(trainer):
    found = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: found.append(engine.state.output))
    trainer.run()
    return found


@pytest.mark.parametrize("missing", [{}, {1: "oct"}, dict.fromkeys(range(4), "fundus")], ids=["none", "one", "all"])
@pytest.mark.parametrize("parts", [1, 3])
def test_it_is_the_same_as_one_regression_loss_a_head(tiny, missing, parts):
    plain, whole = tiny.network(), tiny.network()
    cases = tiny.cases(4, missing=missing)
    one = outputs_of(tiny.fusion(plain, cases, loss_function=MeanSquaredErrorLoss(), micro_batches=parts))[0]
    two = outputs_of(tiny.fusion(whole, cases, loss_function=SquaredErrors(), micro_batches=parts))[0]
    for name in ("loss", "loss_fusion", "loss_oct", "loss_fundus"):
        torch.testing.assert_close(one["logs"][name], two["logs"][name])
    for left, right in zip(plain.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_scores_are_absolute_errors_unless_the_loss_says_otherwise(tiny):
    cases = tiny.cases(4, missing={1: "oct"})
    seen = {}

    class Watch(UniformSum):
        def _objective(self, losses: Losses):
            seen.update(losses.scores)
            return super()._objective(losses)

    loss = SquaredErrors()
    network = tiny.network()
    tiny.fusion(network, cases, loss_function=loss, balancer=Watch()).run()
    predictions, target, rows = loss.given[0]
    assert rows["oct"].tolist() == [0, 2, 3]
    assert rows["fundus"].tolist() == [0, 1, 2, 3]
    expected = (predictions.unimodal["oct"] - target)[[0, 2, 3]].abs().mean()
    torch.testing.assert_close(seen["oct"], expected.detach())
    own = {"oct": torch.tensor(2.0), "fundus": torch.tensor(3.0)}
    tiny.fusion(tiny.network(), cases, loss_function=SquaredErrors(own), balancer=Watch()).run()
    assert {name: value.item() for name, value in seen.items()} == {"oct": 2.0, "fundus": 3.0}


@pytest.mark.parametrize("balancer", [UniformSum, MMPareto, SGM, OGMGE])
def test_every_kind_of_balancer_takes_it(tiny, balancer):
    network = tiny.network()
    before = tiny.weights(network)
    cases = tiny.cases(8, missing={0: "oct"})
    found = outputs_of(tiny.fusion(network, cases, loss_function=SquaredErrors(), balancer=balancer()))
    assert all(math.isfinite(output["loss"].item()) for output in found)
    assert any(not torch.equal(before[name], value) for name, value in tiny.weights(network).items())


def test_a_fused_loss_is_not_needed(tiny):
    found = outputs_of(tiny.fusion(tiny.network(), tiny.cases(4), loss_function=TasksOnly(), balancer=SGM()))[0]
    assert "loss_fusion" not in found["logs"]
    assert found["loss"].isfinite()


def test_predictions_come_in_full_precision_with_their_extras(tiny):
    network, loss = tiny.network(), SquaredErrors()

    def narrow(_module, _inputs, output):
        return output._replace(extras={"odd": output.fusion.bfloat16()}, fusion=output.fusion.bfloat16())

    network.register_forward_hook(narrow)
    tiny.fusion(network, tiny.cases(4), loss_function=loss, autocast_dtype="bfloat16").run()
    predictions = loss.given[0][0]
    assert isinstance(predictions, Predictions)
    assert predictions.fusion.dtype == predictions.extras["odd"].dtype == torch.float32


def test_extras_are_empty_and_cannot_be_written_by_default():
    extras = Predictions(torch.zeros(1), {}, {}).extras
    assert dict(extras) == {}
    with pytest.raises(TypeError):
        extras["a"] = torch.zeros(1)


def test_what_a_whole_loss_is():
    assert isinstance(SquaredErrors(), WholeLoss)
    assert not isinstance(MeanSquaredErrorLoss(), WholeLoss)


def test_methods_that_treat_the_tail_apart_refuse_it(tiny):
    with pytest.raises(MedmdError, match=r"tail_threshold: .*what each case contributes.*SquaredErrors"):
        tiny.fusion(
            tiny.network(), tiny.cases(4), loss_function=SquaredErrors(), balancer=ImbSAM(), tail_threshold=-12.0
        )


def test_stage_one_refuses_a_loss_of_all_heads(tiny):
    with pytest.raises(MedmdError, match="pretrain#trainer#loss_function: SquaredErrors needs the output of all"):
        tiny.contrastive(tiny.network(), tiny.cases(4), loss_function=SquaredErrors())


def test_stage_one_takes_a_loss_that_can_be_called_too(tiny):
    class Both(SquaredErrors):
        def forward(self, prediction, target):
            return (prediction - target).square().mean()

    trainer = tiny.contrastive(tiny.network(), tiny.cases(4), loss_function=Both())
    trainer.run()
    assert trainer.state.output["loss"].isfinite()
