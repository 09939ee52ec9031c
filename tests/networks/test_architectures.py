"""What every network promises, whatever its architecture: presence, precision, storage, export."""

import pytest
import torch

from medmd.networks import (
    BundleNetwork,
    CrossConvRegressor,
    Egvfi3dEncoder,
    EvidentialRegressor,
    MultimodalRegressor,
    ResNetEncoder,
    SliceChannelEncoder,
    SmallCnnEncoder,
    build_network,
    load_weights,
    save_weights,
)

RESNET = {"depth": 10, "planes": [4, 4, 6, 8], "stem_size": 3}
PREFIX = "medmd.networks."
DESCRIPTIONS = {
    "EvidentialRegressor": {
        "oct": {"_target_": f"{PREFIX}ResNetEncoder", "spatial_dims": 3, "in_channels": 1, **RESNET},
        "fundus": {"_target_": f"{PREFIX}SmallCnnEncoder", "in_channels": 3, "planes": [4, 4, 4, 6]},
    },
    "CrossConvRegressor": {
        "oct": {"_target_": f"{PREFIX}SliceChannelEncoder", "slices": 8, **RESNET},
        "fundus": {"_target_": f"{PREFIX}ResNetEncoder", "spatial_dims": 2, "in_channels": 3, **RESNET},
    },
    "MultimodalRegressor": {
        "oct": {
            "_target_": f"{PREFIX}Egvfi3dEncoder",
            "channels": [4, 5, 6],
            "kernels": [3, 3, 1],
            "strides": [2, 1, 1],
        },
        "fundus": {"_target_": f"{PREFIX}SmallCnnEncoder", "in_channels": 3, "planes": [4, 4, 4, 6]},
    },
}
KINDS = {
    "EvidentialRegressor": (EvidentialRegressor, ResNetEncoder, SmallCnnEncoder),
    "CrossConvRegressor": (CrossConvRegressor, SliceChannelEncoder, ResNetEncoder),
    "MultimodalRegressor": (MultimodalRegressor, Egvfi3dEncoder, SmallCnnEncoder),
}
every = pytest.mark.parametrize("kind", DESCRIPTIONS)
PRESENT = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 1], [0, 1], [1, 0]], dtype=torch.bool)


def describe(kind):
    return {"_target_": PREFIX + kind, "encoders": DESCRIPTIONS[kind]}


def make(kind):
    torch.manual_seed(0)
    network = build_network(describe(kind))
    network.set_target_statistics({"mean": -4.5, "std": 4.0})
    for index, token in enumerate(network.tokens.values()):
        torch.nn.init.constant_(token, 0.1 * (index + 1))
    return network


def batch(rows=6, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"oct": (1, 8, 16, 16), "fundus": (3, 16, 16)}
    return {name: torch.randn(rows, *shape, generator=generator, dtype=dtype) for name, shape in shapes.items()}


def total(predictions):
    own = [values[~values.isnan()].square().mean() for values in predictions.unimodal.values()]
    return predictions.fusion.square().mean() + sum(value for value in own if value.isfinite())


def buffers(network):
    return {name: value.clone() for name, value in network.named_buffers()}


@every
def test_a_description_builds_it(kind):
    network = make(kind)
    network_kind, first, second = KINDS[kind]
    assert type(network) is network_kind
    assert isinstance(network.encoders["oct"], first)
    assert isinstance(network.encoders["fundus"], second)


@every
def test_a_row_does_not_depend_on_others_in_evaluation(kind):
    network = make(kind).double().eval()
    inputs = batch(dtype=torch.float64)
    together = network(inputs, PRESENT)
    for row in range(6):
        alone = network({name: x[row : row + 1] for name, x in inputs.items()}, PRESENT[row : row + 1])
        torch.testing.assert_close(together.fusion[row : row + 1], alone.fusion, rtol=1e-9, atol=1e-9)
        for name, values in together.unimodal.items():
            torch.testing.assert_close(
                values[row : row + 1], alone.unimodal[name], rtol=1e-9, atol=1e-9, equal_nan=True
            )


@every
@pytest.mark.parametrize("training", [False, True])
def test_permuting_the_rows_permutes_the_predictions(kind, training):
    network = make(kind).double().train(training)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout3d):
            module.p = 0.0
    inputs, order = batch(dtype=torch.float64), torch.tensor([3, 5, 0, 1, 4, 2])
    straight = network(inputs, PRESENT)
    permuted = network({name: x[order] for name, x in inputs.items()}, PRESENT[order])
    torch.testing.assert_close(permuted.fusion, straight.fusion[order], rtol=1e-8, atol=1e-8)


@every
def test_what_stands_in_absent_rows_is_never_read(kind):
    network = make(kind)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout3d):
            module.p = 0.0
    spoilt = batch()
    for column, name in enumerate(("oct", "fundus")):
        spoilt[name][~PRESENT[:, column]] = torch.nan
    first, second = network(batch(), PRESENT), network(spoilt, PRESENT)
    assert torch.equal(first.fusion, second.fusion)
    assert second.fusion.isfinite().all()
    total(second).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
    for column, name in enumerate(("oct", "fundus")):
        assert torch.equal(second.unimodal[name].isnan(), ~PRESENT[:, column])
        is_token = (second.features[name] == network.tokens[name]).all(dim=1)
        assert torch.equal(is_token, ~PRESENT[:, column])


@every
@pytest.mark.parametrize("absent", ["oct", "fundus"])
def test_a_modality_may_be_absent_in_all_rows(kind, absent):
    network = make(kind)
    before = buffers(network.encoders[absent])
    column = network.modalities.index(absent)
    present = torch.ones(6, 2, dtype=torch.bool)
    present[:, column] = False
    found = network(batch(), present)
    total(found).backward()
    assert all(torch.equal(value, buffers(network.encoders[absent])[name]) for name, value in before.items())
    assert all(p.grad is None for p in network.encoders[absent].parameters())
    network.eval()
    rest = {name: x for name, x in batch().items() if name != absent}
    assert torch.equal(network(rest).fusion, network(batch(), present).fusion)


@every
def test_one_row_trains_and_moves_no_statistics(kind):
    network = make(kind)
    before = buffers(network)
    loss = total(network(batch(rows=1)))
    loss.backward()
    assert loss.isfinite()
    assert all(torch.equal(value, buffers(network)[name]) for name, value in before.items())
    assert all(p.grad is not None for group in network.encoder_parameters().values() for p in group)
    assert all(module.training for module in network.modules())


@every
def test_every_parameter_is_reached(kind):
    network = make(kind)
    found = network(batch(), PRESENT)
    outputs = [value for value in found.extras.values() if not value.isnan().any()]
    (total(found) + sum(value.sum() for value in outputs)).backward()
    encoders = {id(p) for p in network.shared_parameters()}
    unreached = [
        name
        for name, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or (id(p) in encoders and not p.grad.abs().sum() > 0))
    ]
    assert unreached == []
    # A mixture of distributions has no use for the features of absent modalities.
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == ({"tokens.oct", "tokens.fundus"} if kind == "EvidentialRegressor" else set())


@every
def test_heads_are_made_in_the_order_of_the_modalities(kind):
    network = make(kind)
    assert list(network.widths) == list(network.unimodal_heads) == list(network.modalities) == ["oct", "fundus"]


@every
def test_bfloat16_encoders_float32_outputs(kind):
    network = make(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(batch(), PRESENT)
    tensors = [found.fusion, *found.unimodal.values(), *found.features.values(), *found.extras.values()]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    assert not torch.equal(found.fusion, found.fusion.bfloat16().float())
    total(found).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@every
def test_weights_travel_through_a_file(kind, tmp_path):
    first = make(kind)
    first(batch(), PRESENT)  # running statistics that differ from the fresh ones
    save_weights(first, tmp_path / "w.safetensors")
    torch.manual_seed(9)
    second = build_network(describe(kind))
    load_weights(second, tmp_path / "w.safetensors")
    assert torch.equal(first.eval()(batch(), PRESENT).fusion, second.eval()(batch(), PRESENT).fusion)


@every
def test_an_exported_network_is_equal_and_knows_about_absence(kind):
    network = BundleNetwork(make(kind)).eval()
    inputs = batch(rows=4)
    rows = torch.export.Dim("rows", min=1, max=64)
    shapes = {"image": {0: rows}, "fundus": {0: rows}, "present": {0: rows}}
    arguments = (inputs["oct"], inputs["fundus"], PRESENT[:4])
    program = torch.export.export(network, arguments, dynamic_shapes=shapes).module()
    for count in (2, 4):
        given = batch(rows=count, seed=3)
        given["fundus"][1] = torch.nan
        arguments = (given["oct"], given["fundus"], PRESENT[:count])
        torch.testing.assert_close(program(*arguments), network(*arguments), rtol=1e-5, atol=1e-5)
    without = torch.export.export(network, (inputs["oct"], inputs["fundus"])).module()
    torch.testing.assert_close(without(inputs["oct"], inputs["fundus"]), network(inputs["oct"], inputs["fundus"]))


@every
@pytest.mark.parametrize("table", [None, PRESENT])
def test_no_look_at_the_device(kind, table):
    """On the meta device whatever needs a value from the device raises; so would it synchronise on an accelerator."""
    network = make(kind).to("meta")
    found = network({name: x.to("meta") for name, x in batch().items()}, table)
    assert found.fusion.shape == (6,)
    assert found.fusion.device.type == "meta"


@every
def test_forward_unimodal_gives_prediction_and_feature(kind):
    network = make(kind).eval()
    inputs = batch()
    for name in network.modalities:
        value, feature = network.forward_unimodal(name, inputs[name])
        found = network({name: inputs[name]})
        torch.testing.assert_close(value, found.unimodal[name])
        torch.testing.assert_close(feature, found.features[name])
        assert feature.shape == (6, network.encoders[name].out_features)
