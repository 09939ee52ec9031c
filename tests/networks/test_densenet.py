import pytest
import torch
from monai.networks.nets import DenseNet121

from medmd.networks import DenseNetEncoder
from medmd.utils import MedmdError

SMALL = {"init_features": 8, "growth_rate": 4, "block_config": [1, 2, 2, 1]}


@pytest.mark.parametrize(("dims", "channels"), [(2, 3), (3, 1)])
def test_shape(dims, channels):
    encoder = DenseNetEncoder(spatial_dims=dims, in_channels=channels, **SMALL)
    features = encoder(torch.randn(2, channels, *(32,) * dims))
    assert features.shape == (2, encoder.out_features)
    assert (features >= 0).all()


def test_default_is_densenet_121():
    encoder = DenseNetEncoder(spatial_dims=2, in_channels=3).eval()
    theirs = DenseNet121(spatial_dims=2, in_channels=3, out_channels=5).eval()
    theirs.features.load_state_dict(encoder.features.state_dict())
    x = torch.randn(1, 3, 40, 36)
    pooled = theirs.class_layers[:3](theirs.features(x))
    assert encoder.out_features == pooled.shape[1] == 1024
    torch.testing.assert_close(encoder(x), pooled)


def test_too_small():
    encoder = DenseNetEncoder(spatial_dims=3, in_channels=1, **SMALL)
    with pytest.raises(MedmdError, match=r"at least 32 pixels on every axis, got \(32, 24, 32\)"):
        encoder(torch.randn(1, 1, 32, 24, 32))


@pytest.mark.parametrize(
    "change",
    [
        {"spatial_dims": 4},
        {"growth_rate": 0},
        {"block_config": [1, 2]},
        {"block_config": [1, 1, 1, 65]},
        {"dropout": 1},
    ],
)
def test_wrong_arguments(change):
    with pytest.raises(MedmdError, match=next(iter(change))):
        DenseNetEncoder(**{"spatial_dims": 2, "in_channels": 3, **change})
