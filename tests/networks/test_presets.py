from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

import bundles
from medmd.networks import BundleNetwork, build_network
from medmd.workflows import resolve_literals

FOLDER = Path(next(iter(bundles.__path__))) / "remd"
NAMES = ["default", "tiny", "paper", "vit"]


def preset(name):
    config = ConfigParser.load_config_files([str(FOLDER / "train.json"), str(FOLDER / "presets" / f"{name}.json")])
    return {
        "network": resolve_literals(config, "network"),
        "oct_shape": [1, *config["oct_size"]],
        "fundus_shape": [3, config["fundus_size"], config["fundus_size"]],
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_takes_its_own_shapes(name):
    content = preset(name)
    network = BundleNetwork(build_network(content["network"])).eval()
    with torch.no_grad():
        out = network(torch.randn(1, *content["oct_shape"]), torch.randn(1, *content["fundus_shape"]))
    assert out.shape == (1, 1)
    assert out.isfinite().all()
    assert network.network.modalities == ("oct", "fundus")


def test_default_has_the_shapes_of_the_documentation():
    content = preset("default")
    assert content["oct_shape"] == [1, 32, 64, 64]
    assert content["fundus_shape"] == [3, 112, 112]


def test_paper_is_two_resnet_34():
    network = build_network(preset("paper")["network"])
    sizes = {name: sum(p.numel() for p in group) for name, group in network.encoder_parameters().items()}
    # 21 284 672 is ResNet-34 without its classifier; 253 more input channels of a 7 x 7 stem with 64 filters.
    assert sizes == {"oct": 21_284_672 + 253 * 49 * 64, "fundus": 21_284_672}


def step(network, content, rows):
    level = torch.linspace(-1, 1, rows)
    inputs = {
        key: 0.1 * torch.randn(rows, *content[f"{key}_shape"]) + level.view(-1, *[1] * len(content[f"{key}_shape"]))
        for key in ("oct", "fundus")
    }
    predictions = network(inputs)
    return sum((values - level).square().mean() for values in (predictions.fusion, *predictions.unimodal.values()))


@pytest.mark.parametrize("name", ["tiny", "default", "vit"])
def test_every_parameter_of_an_encoder_is_reached(name):
    content = preset(name)
    network = build_network(content["network"])
    step(network, content, 3).backward()
    assert all(p.grad.abs().sum() > 0 for p in network.shared_parameters())


def test_the_tiny_preset_learns():
    torch.manual_seed(0)
    content = preset("tiny")
    network = build_network(content["network"])
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = step(network, content, 4)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
