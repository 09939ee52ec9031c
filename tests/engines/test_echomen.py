"""Both stages of EchoMEN: experts on encoders that no longer change, which leave stage 1's predictions as they are."""

import functools

import pytest
import torch

from medmd.balancing import SGM, UniformSum
from medmd.losses import MultiExpertLoss
from medmd.networks import MultiExpertRegressor

FROZEN = ["encoders", "unimodal_heads.*.output", "fusion_head.output"]
CENTRES = [-15.5 + number for number in range(16)]


def make(tiny, seed=0):
    plain = tiny.network(seed=seed, norm="batch", dropout=0.2)
    network = MultiExpertRegressor(dict(plain.encoders))
    network.set_output_bias(-8.0)
    return network


def stage_two(tiny, network, cases, **options):
    loss = MultiExpertLoss(centres=CENTRES, density=[1.0 + number for number in range(16)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02, weight_decay=0.01)
    return tiny.fusion(network, cases, loss_function=loss, optimizer=optimizer, frozen=FROZEN, **options)


def predictions(network, cases):
    network.eval()
    with torch.no_grad():
        x = {name: torch.stack([case[name] for case in cases]) for name in network.modalities}
        return network(x), {name: network.forward_unimodal(name, x[name])[0] for name in network.modalities}


@pytest.mark.parametrize("balancer", [UniformSum, SGM])
def test_stage_two_trains_experts_and_aggregators_alone(tiny, balancer):
    network, cases = make(tiny), tiny.cases(12, missing={1: "oct", 5: "fundus"})
    adam = functools.partial(torch.optim.Adam, lr=0.01)
    tiny.contrastive(network, cases, optimizer=adam, max_epochs=2).run()
    before, (_, alone) = tiny.weights(network), predictions(network, cases)
    # The first step moves the experts, which are then no longer alike, and the second one the aggregators.
    stage_two(tiny, network, cases, balancer=balancer(), max_epochs=2).run()
    after, (found, again) = tiny.weights(network), predictions(network, cases)
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    parts = {
        f"{head}.{part}"
        for head in ("fusion_head", "unimodal_heads.oct", "unimodal_heads.fundus")
        for part in ("experts.weight", "experts.bias", "aggregator.weight", "aggregator.bias")
    }
    assert moved == parts | {"tokens.oct", "tokens.fundus"}
    for name in network.modalities:
        assert torch.equal(alone[name], again[name])
        assert not torch.equal(found.unimodal[name], again[name])


def test_stage_one_leaves_the_experts_at_zero(tiny):
    network = make(tiny)
    tiny.contrastive(network, tiny.cases(12), optimizer=functools.partial(torch.optim.AdamW, lr=0.01)).run()
    for head in network._heads():
        assert not head.experts.weight.any()
        assert not head.aggregator.weight.any()


def test_experts_for_rare_labels_err_less_there(tiny):
    """Features that cannot tell the label: an expert's constant is the mean that its weights see."""
    cases = tiny.cases(16)
    for number, case in enumerate(cases):
        case["target"] = torch.tensor(-15.5 if number < 4 else -0.5)
        case["oct"], case["fundus"] = torch.ones(6), torch.ones(3, 16, 16)
    network = make(tiny)
    loss = MultiExpertLoss(centres=CENTRES, density=[4.0, *[0.0] * 14, 12.0])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    trainer = tiny.fusion(
        network, cases, loss_function=loss, optimizer=optimizer, frozen=FROZEN, max_epochs=150, batch_size=16
    )
    trainer.run()
    experts = predictions(network, cases)[0].extras["experts_oct"][0]
    # Weights 1, 1 / root and inverse of 4 and 12 cases: means -4.3, -6 and -8.
    expected = [-0.5 - 15 * rare / (rare + common) for rare, common in ((4, 12), (2, 12**0.5), (1, 1))]
    torch.testing.assert_close(experts, torch.tensor(expected), atol=0.15, rtol=0)
