"""Experts and aggregators: begin as the linear heads, mix by shares, and know which rows are absent."""

import pytest
import torch

from medmd.networks import BundleNetwork, MultiExpertRegressor, VectorEncoder, build_network
from medmd.utils import MedmdError

NAMES = ("oct", "fundus", "octa")


def make(number=2, experts=3):
    torch.manual_seed(0)
    encoders = {name: VectorEncoder(in_features=5, hidden=[6], out_features=4) for name in NAMES[:number]}
    network = MultiExpertRegressor(encoders, experts=experts)
    network.set_output_bias(-7.0)
    return network


def disturb(network):
    """Weights such as stage 2 could have left."""
    with torch.no_grad():
        for head in network._heads():
            for layer in (head.experts, head.aggregator):
                layer.weight.normal_()
                layer.bias.normal_()
    return network


def inputs(number=2, rows=6):
    random = torch.Generator().manual_seed(1)
    return {name: torch.randn(rows, 5, generator=random) for name in NAMES[:number]}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_begins_as_the_linear_heads_with_the_fused_one_at_the_mean(number):
    network, x = make(number), inputs(number)
    found = network(x)
    assert torch.equal(found.fusion, torch.full((6,), -7.0))
    for name in network.modalities:
        alone, features = network.forward_unimodal(name, x[name])
        assert torch.equal(found.unimodal[name], alone)
        torch.testing.assert_close(found.extras[f"experts_{name}"], alone[:, None].expand(-1, 3))
        assert torch.equal(found.features[name], features)


def test_a_prediction_is_its_experts_weighed_by_their_shares():
    network, x = disturb(make()), inputs()
    found = network(x)
    for name, prediction in {"fusion": found.fusion, **found.unimodal}.items():
        experts, shares = found.extras[f"experts_{name}"], found.extras[f"shares_{name}"]
        torch.testing.assert_close(shares.sum(1), torch.ones(6))
        torch.testing.assert_close(prediction, (experts * shares).sum(1))
    head, features = network.unimodal_heads["oct"], found.features["oct"]
    expected = head.output(features) + features @ head.experts.weight.T + head.experts.bias
    torch.testing.assert_close(found.extras["experts_oct"], expected)
    torch.testing.assert_close(found.extras["shares_oct"], head.aggregator(features).softmax(1))


def test_stage_one_sees_the_linear_head_alone():
    network, x = disturb(make()), inputs()
    prediction, features = network.forward_unimodal("oct", x["oct"])
    torch.testing.assert_close(prediction, network.unimodal_heads["oct"].output(features).squeeze(1))
    prediction.sum().backward()
    assert network.unimodal_heads["oct"].experts.weight.grad is None


def test_absent_modalities_are_nan_and_spoil_no_gradient():
    network, x = disturb(make()), inputs()
    present = torch.tensor([[True, True], [True, False], [False, True]] * 2)
    found = network(x, present)
    for column, name in enumerate(network.modalities):
        assert torch.equal(found.unimodal[name].isnan(), ~present[:, column])
        assert torch.equal(found.extras[f"experts_{name}"].isnan().all(1), ~present[:, column])
        assert found.extras[f"shares_{name}"].isfinite().all()
    rows = present[:, 0].nonzero().flatten()
    (found.unimodal["oct"][rows].square().mean() + found.fusion.square().mean()).backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in network.parameters())


def test_rows_do_not_depend_on_one_another_and_the_bundle_form_agrees():
    network, x = disturb(make()).eval(), inputs()
    whole = network(x).fusion
    torch.testing.assert_close(whole[2:3], network({name: value[2:3] for name, value in x.items()}).fusion)
    torch.testing.assert_close(BundleNetwork(network)(x["oct"], x["fundus"]).squeeze(1), whole)


def test_half_precision_features_are_read_out_in_full():
    network, x = disturb(make()), inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(x)
    assert {value.dtype for value in found.extras.values()} == {torch.float32}


def test_description():
    encoder = {"_target_": "medmd.networks.VectorEncoder", "in_features": 5}
    described = {"_target_": "medmd.networks.MultiExpertRegressor", "encoders": {"oct": encoder}, "experts": 4}
    network = build_network(described)
    assert network.unimodal_heads["oct"].experts.out_features == 4
    with pytest.raises(MedmdError, match="experts"):
        build_network({**described, "experts": 0})
