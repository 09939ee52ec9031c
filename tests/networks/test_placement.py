"""The order of weights in memory changes speed only."""

import pytest
import torch
from torch.testing import assert_close

from medmd.networks import MultimodalRegressor, ResNetEncoder, load_weights, place_network, save_weights


def _network() -> MultimodalRegressor:
    torch.manual_seed(0)
    return MultimodalRegressor(
        {
            "oct": ResNetEncoder(spatial_dims=3, in_channels=1, depth=10, planes=[4, 8, 8, 8]),
            "fundus": ResNetEncoder(spatial_dims=2, in_channels=3, depth=18, planes=[4, 8, 8, 8]),
        }
    ).double()


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        "oct": torch.randn(3, 1, 16, 32, 32, generator=random, dtype=torch.float64),
        "fundus": torch.randn(3, 3, 32, 32, generator=random, dtype=torch.float64),
    }


def test_convolutions_keep_their_channels_last_on_a_cpu():
    network = _network()
    assert place_network(network, "cpu") is network
    encoders = network.encoders
    weight = next(p for p in encoders["fundus"].parameters() if p.dim() == 4 and p.shape[2] > 1)
    volume = next(p for p in encoders["oct"].parameters() if p.dim() == 5 and p.shape[1] > 1 and p.shape[2] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert volume.is_contiguous(memory_format=torch.channels_last_3d)


def test_values_predictions_and_gradients_stay(inputs):
    before, after = _network(), place_network(_network(), torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    for network in (before, after):
        network(inputs, None).fusion.sum().backward()
    assert_close(after(inputs, None).fusion, before(inputs, None).fusion, rtol=1e-9, atol=1e-10)
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        if one.grad is not None:
            assert_close(other.grad, one.grad, rtol=1e-7, atol=1e-9)


def test_an_optimizer_made_before_goes_on_with_the_same_parameters(inputs):
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    place_network(network, "cpu")
    old = network.fusion_head.state_dict()
    old = {name: value.clone() for name, value in old.items()}
    network(inputs, None).fusion.sum().backward()
    optimizer.step()
    assert any(not torch.equal(value, old[name]) for name, value in network.fusion_head.state_dict().items())


def test_weights_are_the_same_on_disk(tmp_path, inputs):
    save_weights(_network(), tmp_path / "a.safetensors")
    save_weights(place_network(_network(), "cpu"), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    loaded = place_network(_network(), "cpu")
    load_weights(loaded, tmp_path / "a.safetensors")
    assert_close(loaded(inputs, None).fusion, _network()(inputs, None).fusion, rtol=1e-9, atol=1e-10)


def test_another_device_keeps_the_order():
    network = place_network(_network(), "meta")
    assert all(parameter.is_contiguous() for parameter in network.parameters())
