import pytest
import torch
from monai.networks.nets import ResNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medmd.networks import ResNetEncoder, SliceChannelEncoder
from medmd.utils import MedmdError

NARROW = [16, 32, 64, 128]
WIDE = [64, 128, 256, 512]
LAYERS = {10: [1, 1, 1, 1], 18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def reference(dims, channels, depth, planes):
    return ResNet(
        "basic",
        LAYERS[depth],
        planes,
        spatial_dims=dims,
        n_input_channels=channels,
        conv1_t_stride=2,
        feed_forward=False,
        bias_downsample=False,
    )


@pytest.mark.parametrize(("dims", "depth"), [(2, 10), (2, 34), (3, 18)])
def test_equals_monai_with_the_same_weights(dims, depth):
    channels = 1 if dims == 3 else 3
    theirs = reference(dims, channels, depth, NARROW).eval()
    ours = ResNetEncoder(spatial_dims=dims, in_channels=channels, depth=depth, planes=NARROW).eval()
    # Both list their tensors in the order of construction, which is the order of computation.
    ours.load_state_dict(dict(zip(ours.state_dict(), aligned(theirs.state_dict(), ours.state_dict()), strict=True)))
    x = torch.randn(2, channels, *(32,) * dims)
    torch.testing.assert_close(ours(x), theirs(x))


def aligned(theirs, ours):
    assert [value.shape for value in theirs.values()] == [value.shape for value in ours.values()]
    return theirs.values()


# Sizes of the whole network with a classifier of 64 outputs, in millions.
@pytest.mark.parametrize(
    ("dims", "depth", "planes", "millions"),
    [(2, 34, WIDE, 21.32), (2, 18, WIDE, 11.21), (2, 18, NARROW, 0.71), (3, 10, NARROW, 0.91), (3, 18, NARROW, 2.09)],
)
def test_parameter_counts(dims, depth, planes, millions):
    encoder = ResNetEncoder(spatial_dims=dims, in_channels=3 if dims == 2 else 1, depth=depth, planes=planes)
    with_classifier = parameters(encoder) + 64 * planes[-1] + 64
    assert with_classifier / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(
    ("dims", "shape", "giga"), [(3, (1, 32, 64, 64), 7.7), (2, (3, 112, 112), 1.6), (2, (3, 64, 64), 0.5)]
)
def test_work_of_a_step(dims, shape, giga):
    encoder = ResNetEncoder(spatial_dims=dims, in_channels=shape[0], depth=18, planes=NARROW)
    with FlopCounterMode(display=False) as counter:
        encoder(torch.randn(8, *shape)).sum().backward()
    assert counter.get_total_flops() / 1e9 == pytest.approx(giga, abs=0.06)


def test_group_norm_is_used_everywhere():
    encoder = ResNetEncoder(spatial_dims=2, in_channels=3, depth=10, planes=[8, 8, 16, 16], norm="group")
    kinds = [type(module) for module in encoder.modules()]
    assert nn.GroupNorm in kinds
    assert nn.BatchNorm2d not in kinds
    x = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]), rtol=1e-4, atol=1e-5)


def test_slices_are_channels():
    encoder = SliceChannelEncoder(slices=6, depth=10, planes=[4, 4, 4, 4]).eval()
    x = torch.randn(2, 1, 6, 32, 48)
    assert encoder.resnet.stem[0].in_channels == 6
    assert torch.equal(encoder(x), encoder.resnet(x[:, 0]))
    with pytest.raises(MedmdError, match="Expected 6 slices, got 5"):
        encoder(x[:, :, :5])
    with pytest.raises(MedmdError, match="expected shape"):
        encoder(x[:, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spatial_dims": 1}, r"spatial_dims: expected one of \[2, 3\], got 1"),
        ({"depth": 50}, "depth: expected one of"),
        ({"norm": "layer"}, "norm: expected one of"),
        ({"planes": [8, 8, 8]}, "planes: expected four"),
        ({"planes": [8, 8, 0, 8]}, "planes: expected four"),
        ({"planes": [8, 8, 12, 8], "norm": "group"}, "multiples of 8"),
        ({"stem_size": 4}, "stem_size: expected an odd number"),
        ({"stem_stride": 0}, "stem_stride: expected an integer of at least 1"),
        ({"in_channels": True}, "in_channels: expected an integer"),
    ],
)
def test_wrong_arguments(change, words):
    with pytest.raises(MedmdError, match=words):
        ResNetEncoder(**{"spatial_dims": 2, "in_channels": 3, **change})


def _fill_freed_memory():
    """Leave NaN in the memory that the next tensors are given."""
    sizes = (16, 64, 256, 1024, 4096, 16384, 65536)
    kept = [torch.full((size,), float("nan")) for size in sizes for _ in range(6)]
    del kept


@pytest.mark.parametrize(("dims", "size"), [(2, (16, 16)), (3, (16, 16, 16)), (2, (32, 8))])
def test_bfloat16_gradients_are_computed_where_the_map_has_one_column(dims, size):
    torch.manual_seed(0)
    network = ResNetEncoder(spatial_dims=dims, in_channels=1, depth=10, planes=(4, 4, 6, 8), stem_size=3, norm="batch")
    x = torch.randn(4, 1, *size)
    network(x).square().mean().backward()
    exact = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    for _ in range(5):
        network.zero_grad()
        _fill_freed_memory()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = network(x)
        _fill_freed_memory()
        out.float().square().mean().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad.isfinite().all(), name
        last = "stages.3.0.conv1.weight"
        error = (network.get_parameter(last).grad - exact[last]).norm() / exact[last].norm()
        assert error < 0.5  # rounding of the layers before, through a batch norm of four values
