import pytest
import torch
from torch import nn

from medmd.networks import Egvfi3dEncoder
from medmd.utils import MedmdError


def test_the_published_layers():
    encoder = Egvfi3dEncoder()
    convolutions = [module for module in encoder.modules() if isinstance(module, nn.Conv3d)]
    assert [(each.out_channels, each.kernel_size[0], each.stride[0]) for each in convolutions] == [
        (32, 7, 2),
        (32, 5, 1),
        (32, 5, 1),
        (32, 3, 1),
        (32, 3, 1),
    ]
    kinds = [[type(layer) for layer in block] for block in encoder.blocks]
    assert kinds == [[nn.Conv3d, nn.BatchNorm3d, nn.ReLU, nn.Dropout3d]] * 5
    assert {module.p for module in encoder.modules() if isinstance(module, nn.Dropout3d)} == {0.2}
    # Written out: kernels without bias, and weight and bias of each norm.
    assert sum(p.numel() for p in encoder.parameters()) == 32 * 343 + 2 * 1024 * 125 + 2 * 1024 * 27 + 5 * 64


def test_shape_and_one_halving():
    torch.manual_seed(0)
    encoder = Egvfi3dEncoder(channels=[4, 6], kernels=[3, 5], strides=[2, 1], dropout=0).eval()
    assert encoder.out_features == 6
    assert encoder(torch.randn(2, 1, 8, 10, 12)).shape == (2, 6)
    assert encoder.blocks(torch.randn(2, 1, 8, 10, 12)).shape == (2, 6, 4, 5, 6)
    assert not any(isinstance(module, nn.Dropout3d) for module in encoder.modules())


def test_the_mean_over_the_volume_is_blind_to_a_whole_shift():
    torch.manual_seed(0)
    encoder = Egvfi3dEncoder(channels=[4, 4], kernels=[3, 3], strides=[2, 1]).eval()
    x = torch.zeros(1, 1, 16, 16, 16)
    x[:, :, 5:7, 5:7, 5:7] = 1.0
    torch.testing.assert_close(encoder(x), encoder(x.roll(2, dims=(4,))))


def test_group_norm_makes_rows_independent_in_training():
    torch.manual_seed(0)
    encoder = Egvfi3dEncoder(channels=[8, 8], kernels=[3, 3], strides=[2, 1], dropout=0, norm="group")
    x = torch.randn(3, 1, 8, 8, 8)
    torch.testing.assert_close(encoder(x)[:1], encoder(x[:1]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": [4, 4]}, "one length"),
        ({"channels": [], "kernels": [], "strides": []}, "one length"),
        ({"channels": [4], "kernels": [4], "strides": [1]}, "kernels: expected odd"),
        ({"channels": [0], "kernels": [3], "strides": [1]}, r"channels\[0\]"),
        ({"channels": [4], "kernels": [3], "strides": [1], "norm": "group"}, "multiples of 8"),
        ({"dropout": 1.0}, "dropout"),
        ({"norm": "layer"}, "norm"),
        ({"in_channels": 0}, "in_channels"),
    ],
)
def test_arguments_out_of_range(options, words):
    with pytest.raises(MedmdError, match=words):
        Egvfi3dEncoder(**options)


def test_a_wrong_shape_is_named():
    with pytest.raises(MedmdError, match=r"\(B, 1, slices, rows, columns\)"):
        Egvfi3dEncoder()(torch.zeros(1, 3, 8, 8))
