import json

import pytest
import torch
from monai.bundle import verify_net_in_out

from medmd.networks import BundleNetwork, MultimodalRegressor, ResNetEncoder, SmallCnnEncoder, VectorEncoder
from medmd.utils import MedmdError

DESCRIPTION = {
    "_target_": "medmd.networks.MultimodalRegressor",
    "encoders": {
        "oct": {
            "_target_": "medmd.networks.ResNetEncoder",
            "spatial_dims": 3,
            "in_channels": 1,
            "depth": 10,
            "planes": [4, 4, 4, 4],
        },
        "fundus": {"_target_": "medmd.networks.SmallCnnEncoder", "in_channels": 3, "planes": [4, 4, 4, 4]},
    },
}


def regressor(names=("oct", "fundus")):
    torch.manual_seed(0)
    makers = [
        lambda: ResNetEncoder(spatial_dims=3, in_channels=1, depth=10, planes=[4, 4, 4, 4]),
        lambda: SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 4]),
        lambda: VectorEncoder(in_features=2, hidden=[], out_features=3),
    ]
    network = MultimodalRegressor({name: make() for name, make in zip(names, makers, strict=False)})
    torch.nn.init.ones_(network.tokens[names[-1]])
    return network


def inputs(rows=4):
    return torch.randn(rows, 1, 8, 16, 16), torch.randn(rows, 3, 16, 16), torch.randn(rows, 2)


@pytest.mark.parametrize("names", [("oct",), ("oct", "fundus"), ("volume", "photo", "age")])
def test_positions_and_names(names):
    inner = regressor(names).eval()
    network = BundleNetwork(inner).eval()
    tensors = inputs()
    expected = inner(dict(zip(names, tensors, strict=False))).fusion[:, None]
    fundus = tensors[1] if len(names) > 1 else None
    further = {names[2]: tensors[2]} if len(names) > 2 else {}
    got = network(tensors[0], fundus, **further)
    assert got.shape == (4, 1)
    assert torch.equal(got, expected)


def test_absent_inputs_are_left_out():
    inner = regressor(("volume", "photo", "age")).eval()
    network = BundleNetwork(inner).eval()
    volume, photo, age = inputs()
    assert torch.equal(network(volume), inner({"volume": volume}).fusion[:, None])
    assert torch.equal(network(volume, age=age), inner({"volume": volume, "age": age}).fusion[:, None])
    assert torch.equal(network(volume, photo, age=None), inner({"volume": volume, "photo": photo}).fusion[:, None])
    present = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=torch.bool)
    assert torch.equal(
        network(volume, photo, present), inner({"volume": volume, "photo": photo}, present).fusion[:, None]
    )


def test_wrong_calls():
    with pytest.raises(MedmdError, match="one modality, 'oct'"):
        BundleNetwork(regressor(("oct",)))(*inputs()[:2])
    with pytest.raises(MedmdError, match="Unknown modality 'age'"):
        BundleNetwork(regressor())(inputs()[0], age=inputs()[2])
    with pytest.raises(MedmdError, match="cannot be named 'image'"):
        BundleNetwork(regressor(("volume", "photo", "image")))


def test_verify_net_in_out_with_one_input(tmp_path):
    form = {"type": "image", "format": "magnitude", "modality": "OCT", "num_channels": 1, "spatial_shape": [8, 16, 16]}
    form |= {"dtype": "float32", "value_range": [-3, 3], "is_patch_data": False, "channel_def": {"0": "OCT"}}
    pred = {"type": "number", "format": "regression", "num_channels": 1, "spatial_shape": [], "dtype": "float32"}
    pred |= {"value_range": [-40, 6], "is_patch_data": False, "channel_def": {"0": "MD in dB"}}
    (tmp_path / "metadata.json").write_text(
        json.dumps({"network_data_format": {"inputs": {"image": form}, "outputs": {"pred": pred}}})
    )
    config = {"network_def": {"_target_": "medmd.networks.BundleNetwork", "network": DESCRIPTION}}
    (tmp_path / "inference.json").write_text(json.dumps(config))
    arguments = {
        "net_id": "network_def",
        "meta_file": str(tmp_path / "metadata.json"),
        "config_file": str(tmp_path / "inference.json"),
        "device": "cpu",
    }
    verify_net_in_out(**arguments)
    verify_net_in_out(**arguments, extra_forward_args={"fundus": torch.rand(1, 3, 16, 16)})
    pred["num_channels"] = 2
    (tmp_path / "metadata.json").write_text(
        json.dumps({"network_data_format": {"inputs": {"image": form}, "outputs": {"pred": pred}}})
    )
    with pytest.raises(ValueError, match="channel number"):
        verify_net_in_out(**arguments)


def exported(network, arguments, with_present):
    rows = torch.export.Dim("rows", min=1, max=64)
    shapes = {"image": {0: rows}, "fundus": {0: rows}}
    if with_present:
        shapes["present"] = {0: rows}
    return torch.export.export(network, arguments, dynamic_shapes={**shapes}).module()


def test_export_with_a_dynamic_batch_is_equal():
    network = BundleNetwork(regressor()).eval()
    program = exported(network, inputs(4)[:2], with_present=False)
    for rows in (1, 4, 7):
        volume, photo, _ = inputs(rows)
        torch.testing.assert_close(program(volume, photo), network(volume, photo), rtol=1e-6, atol=1e-6)


def test_an_exported_network_still_knows_about_absence():
    network = BundleNetwork(regressor()).eval()
    table = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 1]], dtype=torch.bool)
    program = exported(network, (*inputs(4)[:2], table), with_present=True)
    for rows in (2, 4):
        volume, photo, _ = inputs(rows)
        photo[1] = torch.nan
        here = table[:rows]
        torch.testing.assert_close(program(volume, photo, here), network(volume, photo, here), rtol=1e-6, atol=1e-6)


def test_export_without_the_second_input():
    network = BundleNetwork(regressor()).eval()
    volume = inputs(3)[0]
    present = torch.tensor([[True, False]] * 3)
    program = torch.export.export(network, (volume, None, present)).module()
    torch.testing.assert_close(program(volume, None, present), network(volume, None, present))


def test_state_of_the_inner_network_loads():
    inner = regressor()
    network = BundleNetwork(regressor())
    assert set(network.state_dict()) == {f"network.{name}" for name in inner.state_dict()}
    for value in inner.parameters():
        torch.nn.init.normal_(value)
    network.load_state_dict(inner.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(inner.parameters(), network.parameters(), strict=True))
    network.load_state_dict(network.state_dict())
    with pytest.raises(RuntimeError, match="Missing key"):
        network.load_state_dict({"tokens.oct": inner.tokens["oct"]})
