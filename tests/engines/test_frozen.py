"""Parts of a network that stage 2 leaves as they are."""

import pytest
import torch

from medmd.balancing import MGDA, SAM, SGM, MMPareto, PCGrad, UniformSum
from medmd.utils import MedmdError


@pytest.mark.parametrize("balancer", [UniformSum, SGM, MMPareto, PCGrad, MGDA, SAM])
def test_encoders_stay_bit_for_bit(tiny, balancer):
    """Batch norm's statistics and dropout included, and with an optimizer that decays weights."""
    network = tiny.network(norm="batch", dropout=0.3)
    before = tiny.weights(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.1)
    trainer = tiny.fusion(
        network, tiny.cases(), optimizer=optimizer, balancer=balancer(), frozen=["encoders"], gradient_clip=1.0
    )
    modes = []
    network.encoders["oct"].register_forward_pre_hook(lambda module, _: modes.append(module.training))
    trainer.run()
    after = tiny.weights(network)
    assert not any(modes)
    for name, value in before.items():
        assert torch.equal(after[name], value) == name.startswith(("encoders", "tokens")), name


def test_names_with_wildcards(tiny):
    network = tiny.network()
    before = tiny.weights(network)
    tiny.fusion(network, tiny.cases(), frozen=["unimodal_heads.*.output"]).run()
    after = tiny.weights(network)
    frozen = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert {name for name in before if name.startswith("unimodal_heads")} <= frozen
    assert not any(name.startswith("encoders") for name in frozen)


def test_afterwards_they_can_be_trained_again(tiny):
    network = tiny.network()
    network.encoders["oct"].layers[0][0].bias.requires_grad_(False)
    tiny.fusion(network, tiny.cases(), frozen=["encoders"]).run()
    fixed = [name for name, each in network.named_parameters() if not each.requires_grad]
    assert fixed == ["encoders.oct.layers.0.0.bias"]


def test_gradients_of_stage_one_are_not_stepped_on(tiny):
    network = tiny.network()
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = tiny.weights(network)
    tiny.fusion(network, tiny.cases(), frozen=["encoders"]).run()
    assert all(
        torch.equal(value, before[name]) for name, value in tiny.weights(network.encoders).items() if name in before
    )
    assert torch.equal(network.encoders["oct"].layers[0][0].weight, before["encoders.oct.layers.0.0.weight"])


def test_a_name_that_is_none_is_refused(tiny):
    with pytest.raises(MedmdError, match=r"'encoder'.*encoders"):
        tiny.fusion(tiny.network(), tiny.cases(), frozen=["encoder"])
