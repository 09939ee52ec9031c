import copy
import json
import time

import pytest
import torch
from monai.bundle import ConfigParser

from medmd.networks import (
    DenseNetEncoder,
    EfficientNetLiteEncoder,
    SliceChannelEncoder,
    ViTEncoder,
    build_network,
)
from medmd.utils import MedmdError

PLAIN = {
    "_target_": "medmd.networks.MultimodalRegressor",
    "output_range": [-40.0, 6],
    "fusion_hidden": 5,
    "encoders": {
        "oct": {"_target_": "medmd.networks.SliceChannelEncoder", "slices": 4, "depth": 10, "planes": [4, 4, 4, 4]},
        "age": {"_target_": "medmd.networks.VectorEncoder", "in_features": 2, "norm": "layer"},
    },
}


def changed(path, value):
    description = copy.deepcopy(PLAIN)
    place = description
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return description


def test_plain_description():
    network = build_network(json.loads(json.dumps(PLAIN)))
    assert network.modalities == ("oct", "age")
    assert isinstance(network.encoders["oct"], SliceChannelEncoder)
    assert network.fusion_head.output_range == (-40.0, 6.0)
    assert network.fusion_head.hidden.out_features == 5
    assert all(p.device.type == "cpu" for p in network.parameters())


def test_same_seed_same_network_and_same_as_a_bundle_builds():
    torch.manual_seed(3)
    first = build_network(PLAIN)
    torch.manual_seed(3)
    second = ConfigParser({"network": copy.deepcopy(PLAIN)}).get_parsed_content("network")
    assert list(first.state_dict()) == list(second.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_every_encoder_can_be_described():
    encoders = {
        "a": {
            "_target_": "medmd.networks.DenseNetEncoder",
            "spatial_dims": 2,
            "in_channels": 1,
            "block_config": [1, 1, 1, 1],
        },
        "b": {"_target_": "medmd.networks.EfficientNetLiteEncoder"},
        "c": {
            "_target_": "medmd.networks.ViTEncoder",
            "spatial_dims": 2,
            "in_channels": 1,
            "img_size": [8, 8],
            "patch_size": [4, 4],
        },
        "d": {"_target_": "medmd.networks.SmallCnnEncoder", "in_channels": 1},
        "e": {"_target_": "medmd.networks.ResNetEncoder", "in_channels": 1, "spatial_dims": 2, "depth": 10},
    }
    network = build_network({"_target_": "medmd.networks.MultimodalRegressor", "encoders": encoders})
    kinds = [type(network.encoders[name]) for name in "abc"]
    assert kinds == [DenseNetEncoder, EfficientNetLiteEncoder, ViTEncoder]


def test_pretrained_can_be_left_to_weights_that_follow(monkeypatch):
    def unwanted():
        pytest.fail("ImageNet weights were read")

    monkeypatch.setattr("medmd.networks._efficientnet_lite.load_imagenet_lite0", unwanted)
    encoder = {"_target_": "medmd.networks.EfficientNetLiteEncoder", "pretrained": True}
    description = {"_target_": "medmd.networks.MultimodalRegressor", "encoders": {"fundus": encoder}}
    build_network(description, load_pretrained=False)
    assert encoder["pretrained"] is True


ENCODER = ["encoders", "oct"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["_target_"], "os.system", r"network#_target_: expected one of .*got 'os.system'"),
        (["_target_"], "medmd.networks.VectorEncoder", "network#_target_"),
        ([*ENCODER, "_target_"], "torch.nn.Linear", "network#encoders#oct#_target_"),
        ([*ENCODER, "_target_"], "medmd.networks.load_weights", "network#encoders#oct#_target_"),
        ([*ENCODER, "_target_"], "medmd.networks._build.torch.load", "network#encoders#oct#_target_"),
        ([*ENCODER, "_target_"], ["medmd.networks.VectorEncoder"], "network#encoders#oct#_target_"),
        (
            [*ENCODER, "slices"],
            "$__import__('os').system('true')",
            "network#encoders#oct#slices: expected a plain word",
        ),
        ([*ENCODER, "slices"], "@encoders#age", "not evaluated"),
        ([*ENCODER, "norm"], "%/etc/passwd", "not evaluated"),
        ([*ENCODER, "planes"], [4, 4, 4, "$1"], "network#encoders#oct#planes#3"),
        ([*ENCODER, "_requires_"], "x", "'_requires_' is not allowed"),
        ([*ENCODER, "_mode_"], "callable", "'_mode_' is not allowed"),
        ([*ENCODER, "$x"], 1, "not allowed"),
        ([*ENCODER, "slices"], 10**9, "up to 8192"),
        ([*ENCODER, "slices"], float("nan"), "expected a plain word"),
        ([*ENCODER, "slices"], b"4", "expected a plain word"),
        ([*ENCODER, "slices"], {"deep": {"er": {"and": {"more": 1}}}}, "5 levels"),
        ([*ENCODER, "planes"], [4] * 33, "at most 32 entries"),
        ([*ENCODER, "slice"], 4, "network#encoders#oct: .*unexpected keyword argument 'slice'"),
        ([*ENCODER, "planes"], "four", "network#encoders#oct"),
        ([*ENCODER, "planes"], None, "network#encoders#oct"),
        ([*ENCODER, "planes"], [8192] * 4, "expected at most 1000000000"),
        (["encoders"], [], "network#encoders: expected an object"),
        (["encoders"], {}, "at least one modality"),
        (["encoders", "oct"], 3, "network#encoders#oct#_target_"),
        (["encoders", "o.ct"], PLAIN["encoders"]["age"], "network: .*cannot name a modality"),
        (["output_range"], [6, -40], "network: output_range"),
        (["encodings"], {}, "network: .*unexpected keyword argument 'encodings'"),
    ],
)
def test_what_is_refused(path, value, words):
    start = time.monotonic()
    with pytest.raises(MedmdError, match=words):
        build_network(changed(path, value))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("description", [[], None, "medmd.networks.MultimodalRegressor", {}, {"encoders": {}}])
def test_not_even_a_description(description):
    with pytest.raises(MedmdError, match="network"):
        build_network(description)
