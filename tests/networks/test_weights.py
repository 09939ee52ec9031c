import pickle
import struct

import pytest
import torch
from torch import nn

from medmd.networks import MultimodalRegressor, SmallCnnEncoder, VectorEncoder, load_weights, save_weights
from medmd.utils import MedmdError


def make(width=4, seed=0):
    torch.manual_seed(seed)
    encoders = {"a": SmallCnnEncoder(in_channels=1, planes=[4, 4, 4, width]), "b": VectorEncoder(in_features=2)}
    return MultimodalRegressor(encoders)


def test_round_trip_with_buffers(tmp_path):
    network = make()
    network({"a": torch.randn(4, 1, 16, 16), "b": torch.randn(4, 2)})
    save_weights(network, tmp_path / "deep" / "model.safetensors")
    other = make(seed=1)
    load_weights(other, tmp_path / "deep" / "model.safetensors")
    state, expected = other.state_dict(), network.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert state["encoders.a.layers.0.1.num_batches_tracked"].item() == 1


def test_same_weights_same_bytes(tmp_path):
    save_weights(make(), tmp_path / "a.safetensors")
    save_weights(make(), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_shared_and_strided_tensors(tmp_path):
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last))
    module[1].weight = module[0].weight
    save_weights(module, tmp_path / "m.safetensors")
    other = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(3, 4, 3))
    other[1].weight = other[0].weight
    load_weights(other, tmp_path / "m.safetensors")
    assert torch.equal(other[0].weight, module[0].weight)
    assert other[1].weight is other[0].weight
    assert torch.equal(other[2].weight, module[2].weight)


def test_differences_are_named_and_nothing_changes(tmp_path):
    save_weights(make(width=6), tmp_path / "m.safetensors")
    network = make()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(MedmdError, match=r"different: encoders.a.layers.3.0.weight expected float \[4, 4, 3, 3\], got"):
        load_weights(network, tmp_path / "m.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_missing_and_unexpected_are_named(tmp_path):
    save_weights(nn.Linear(2, 2), tmp_path / "m.safetensors")
    with pytest.raises(MedmdError, match=r"missing: encoders.*and \d+ more; unexpected: bias, weight"):
        load_weights(make(), tmp_path / "m.safetensors")


def test_precision_may_differ_but_a_counter_is_no_float(tmp_path):
    save_weights(nn.Linear(2, 2).half(), tmp_path / "half.safetensors")
    target = nn.Linear(2, 2)
    load_weights(target, tmp_path / "half.safetensors")
    assert target.weight.dtype == torch.float32
    norm = nn.BatchNorm1d(2)
    norm.num_batches_tracked = torch.tensor(1.5)
    save_weights(norm, tmp_path / "norm.safetensors")
    with pytest.raises(MedmdError, match="num_batches_tracked expected int64"):
        load_weights(nn.BatchNorm1d(2), tmp_path / "norm.safetensors")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("code was run",))


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(MedmdError, match=r"ends in \.safetensors"):
        save_weights(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(MedmdError, match=r"ends in \.safetensors"):
        load_weights(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(MedmdError, match="no such file"):
        load_weights(nn.Linear(1, 1), tmp_path / "absent.safetensors")
    trap = tmp_path / "trap.safetensors"
    trap.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(MedmdError, match="not a safetensors file"):
        load_weights(nn.Linear(1, 1), trap)
    trap.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(MedmdError, match="not a safetensors file"):
        load_weights(nn.Linear(1, 1), trap)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    save_weights(nn.Linear(1, 1), path)
    old = path.read_bytes()

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medmd.networks._weights.save_file", full)
    with pytest.raises(OSError, match="no space is left"):
        save_weights(nn.Linear(2, 2), path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]
