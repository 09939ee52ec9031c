import pytest
import torch

from medmd.networks import build_network
from medmd.utils import MedmdError
from medmd.workflows.preflight._network import network_cost

SHAPES = {"oct": (1, 8, 16, 16), "fundus": (3, 24, 24), "rnfl": (5,)}
ENCODERS = {
    "oct": {
        "_target_": "medmd.networks.ResNetEncoder",
        "spatial_dims": 3,
        "in_channels": 1,
        "depth": 10,
        "planes": [4, 8, 8, 16],
    },
    "fundus": {"_target_": "medmd.networks.SmallCnnEncoder", "in_channels": 3},
    "rnfl": {"_target_": "medmd.networks.VectorEncoder", "in_features": 5},
}


def describe(*names):
    return {
        "_target_": "medmd.networks.MultimodalRegressor",
        "encoders": {name: ENCODERS[name] for name in names},
        "fusion_hidden": 7,
    }


def measured(description, names, batch_size):
    """The same count on the CPU, from memory that was really taken, by its address."""
    network = build_network(description).train()
    inputs = {name: torch.randn(batch_size, *SHAPES[name]) for name in names}
    saved = {}

    def note(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = network(inputs)
    for tensor in (*network.state_dict().values(), *inputs.values()):
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    assert kept.fusion.requires_grad
    return network, [tensor.untyped_storage().nbytes() for tensor in saved.values()]


@pytest.mark.parametrize("names", [("oct",), ("fundus",), ("rnfl",), ("oct", "fundus", "rnfl")])
@pytest.mark.parametrize("batch_size", [2, 5])
def test_the_count_is_what_a_real_forward_pass_keeps(names, batch_size):
    description = describe(*names)
    cost = network_cost(description, {name: SHAPES[name] for name in names}, batch_size)
    network, sizes = measured(description, names, batch_size)
    assert cost.parameters == sum(p.numel() * p.element_size() for p in network.parameters())
    assert cost.weights == sum(t.numel() * t.element_size() for t in network.state_dict().values())
    # Batch norm on the CPU keeps its statistics in tensors that the meta device leaves empty, and the other way round.
    assert cost.activations == pytest.approx(sum(sizes), rel=0.02, abs=512)
    assert cost.largest == max(sizes)


def test_it_computes_nothing_and_draws_nothing():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    network_cost(describe("oct"), {"oct": SHAPES["oct"]}, 2)
    assert torch.equal(before, torch.get_rng_state())


def test_twice_the_batch_keeps_twice_as_much():
    shapes = {name: SHAPES[name] for name in ("oct", "fundus")}
    one, two = (network_cost(describe(*shapes), shapes, size) for size in (4, 8))
    assert two.activations == pytest.approx(2 * one.activations, rel=0.01)
    assert two.parameters == one.parameters


@pytest.mark.parametrize(
    ("description", "shapes"),
    [({"_target_": "os.system"}, {}), (describe("rnfl"), {"rnfl": (5,), "oct": (1, 2, 2, 2)})],
)
def test_what_does_not_fit_is_a_sentence(description, shapes):
    with pytest.raises(MedmdError):
        network_cost(description, shapes, 2)
