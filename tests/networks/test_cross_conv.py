"""Two residual networks that exchange maps."""

import pytest
import torch

from medmd.networks import CrossConvRegressor, ResNetEncoder, SliceChannelEncoder, SmallCnnEncoder
from medmd.utils import MedmdError

SMALL = {"depth": 10, "planes": [4, 4, 6, 8], "stem_size": 3, "stem_stride": 1}


def encoders():
    return {
        "oct": SliceChannelEncoder(slices=3, **SMALL),
        "fundus": ResNetEncoder(spatial_dims=2, in_channels=3, **{**SMALL, "planes": [4, 6, 8, 4]}),
    }


def make(**options):
    torch.manual_seed(0)
    return CrossConvRegressor(encoders(), **options)


def batch(rows=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {
        "oct": torch.randn(rows, 1, 3, 16, 24, generator=generator),
        "fundus": torch.randn(rows, 3, 32, 32, generator=generator),
    }


def reached(network, value):
    network.zero_grad()
    value.backward(retain_graph=True)
    groups = network.encoder_parameters()
    return {name: all(p.grad is not None and p.grad.abs().sum() > 0 for p in group) for name, group in groups.items()}


def test_either_unimodal_loss_reaches_both_encoders():
    network = make(after=(1, 2, 3))
    found = network(batch())
    for name, other in (("oct", "fundus"), ("fundus", "oct")):
        value = found.unimodal[name].square().sum()
        network.zero_grad()
        value.backward(retain_graph=True)
        assert all(p.grad.abs().sum() > 0 for p in network.encoders[name].parameters())
        # The other encoder up to its last exchange; its last stage is its own.
        last = {id(p) for p in network.encoders[other].stages[3].parameters()} if other == "fundus" else None
        last = last or {id(p) for p in network.encoders["oct"].resnet.stages[3].parameters()}
        early = [p for p in network.encoders[other].parameters() if id(p) not in last]
        assert early
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in early)
        assert all(p.grad.abs().sum() > 0 for p in network.crosses[name].parameters())
    assert all(reached(network, found.fusion.sum()).values())


def test_an_exchange_is_a_convolution_of_the_other_map():
    network = make(after=(1,)).eval()
    inputs = batch()
    found = network(inputs)
    first, second = network.encoders["oct"].resnet, network.encoders["fundus"]
    one = first.stages[0](first.stem(inputs["oct"].squeeze(1)))
    two = second.stages[0](second.stem(inputs["fundus"]))
    message = torch.nn.functional.interpolate(network.crosses["oct"]["1"](two), size=one.shape[2:], mode="nearest")
    one = one + message
    for stage in list(first.stages)[1:]:
        one = stage(one)
    torch.testing.assert_close(found.features["oct"], one.mean(dim=(2, 3)))


def test_without_the_other_each_goes_its_own_way():
    network = make().eval()
    inputs = batch()
    present = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 1]], dtype=torch.bool)
    found = network(inputs, present)
    for name, row in (("oct", 1), ("fundus", 2)):
        value, feature = network.forward_unimodal(name, inputs[name][row : row + 1])
        torch.testing.assert_close(found.unimodal[name][row : row + 1], value)
        torch.testing.assert_close(found.features[name][row : row + 1], feature)
    together = network({name: x[[0, 3]] for name, x in inputs.items()})
    torch.testing.assert_close(found.fusion[[0, 3]], together.fusion)
    alone = network.forward_unimodal("oct", inputs["oct"])[0]
    assert not torch.allclose(alone[0], found.unimodal["oct"][0])


def test_parameters_belong_to_the_stream_that_they_feed():
    network = make(after=(2, 3))
    groups = network.encoder_parameters()
    into = {name: {id(p) for p in network.crosses[name].parameters()} for name in groups}
    assert all(into[name] <= {id(p) for p in group} for name, group in groups.items())
    flat = network.shared_parameters()
    assert len({id(p) for p in flat}) == len(flat) == sum(map(len, groups.values()))
    rest = {id(p) for p in network.parameters()} - {id(p) for p in flat}
    outside = [network.tokens, network.unimodal_heads, network.fusion_head]
    assert rest == {id(p) for module in outside for p in module.parameters()}
    network.crosses.requires_grad_(False)
    assert not set.union(*into.values()) & {id(p) for p in network.shared_parameters()}


@pytest.mark.parametrize("after", [(), (0,), (5,), (2, 2)])
def test_stages_out_of_range(after):
    with pytest.raises(MedmdError, match="network#after"):
        make(after=after)


@pytest.mark.parametrize("count", [1, 3])
def test_exactly_two_modalities(count):
    names = ("oct", "fundus", "map")[:count]
    parts = {name: ResNetEncoder(spatial_dims=2, in_channels=3, **SMALL) for name in names}
    with pytest.raises(MedmdError, match=f"exactly two modalities, got {count}"):
        CrossConvRegressor(parts)


@pytest.mark.parametrize(
    "other",
    [
        lambda: SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 4]),
        lambda: ResNetEncoder(spatial_dims=3, in_channels=1, **SMALL),
    ],
)
def test_maps_of_other_encoders_cannot_be_exchanged(other):
    with pytest.raises(MedmdError, match="network#encoders#fundus: expected a 2-D"):
        CrossConvRegressor({**encoders(), "fundus": other()})


def test_a_wrong_input_names_its_modality():
    inputs = batch()
    with pytest.raises(MedmdError, match="Modality 'oct': Expected 3 slices, got 2"):
        make()({**inputs, "oct": inputs["oct"][:, :, :2]})
