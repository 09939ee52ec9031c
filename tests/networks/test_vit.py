import pytest
import torch

from medmd.networks import ViTEncoder
from medmd.utils import MedmdError

FLAT = {"spatial_dims": 2, "in_channels": 3, "img_size": [16, 24], "patch_size": [8, 8], "hidden_size": 12}
FLAT |= {"mlp_dim": 20, "num_layers": 2, "num_heads": 3}


@pytest.mark.parametrize("training", [True, False])
def test_rows_are_independent(training):
    encoder = ViTEncoder(**FLAT).double().train(training)
    x = torch.randn(4, 3, 16, 24, dtype=torch.float64)
    features = encoder(x)
    assert features.shape == (4, encoder.out_features) == (4, 12)
    torch.testing.assert_close(features[2:3], encoder(x[2:3]), rtol=1e-9, atol=1e-9)


def test_volume():
    encoder = ViTEncoder(spatial_dims=3, in_channels=1, img_size=[8, 16, 16], patch_size=[4, 8, 8])
    assert encoder.positions.shape == (8, 96)
    features = encoder(torch.randn(2, 1, 8, 16, 16))
    features.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_patches_are_what_the_tokens_see():
    """Before the blocks, a token is the linear image of its own patch."""
    encoder = ViTEncoder(**FLAT)
    x = torch.randn(1, 3, 16, 24)
    tokens = encoder.patches(x).flatten(2).transpose(1, 2)
    patch = x[0, :, 8:16, 0:8].flatten()
    expected = encoder.patches.weight.flatten(1) @ patch + encoder.patches.bias
    torch.testing.assert_close(tokens[0, 3], expected, rtol=1e-4, atol=1e-5)


def test_positions_matter_and_blocks_start_different():
    encoder = ViTEncoder(**FLAT).eval()
    x = torch.randn(1, 3, 16, 24)
    assert not torch.allclose(encoder(x), encoder(x.flip(3)), atol=1e-6)
    first, second = encoder.blocks.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    assert not torch.equal(first.self_attn.in_proj_weight, second.self_attn.in_proj_weight)


def test_other_sizes_are_refused():
    with pytest.raises(MedmdError, match=r"size \(16, 24\), got \(24, 24\)"):
        ViTEncoder(**FLAT)(torch.randn(1, 3, 24, 24))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patch_size": [8, 7]}, "patches that divide"),
        ({"img_size": [16]}, "2 numbers each"),
        ({"num_heads": 5}, "num_heads to divide"),
        ({"num_layers": 65}, "at most 64 layers"),
        ({"dropout": -0.1}, "dropout"),
        ({"patch_size": [0, 8]}, "patches that divide"),
    ],
)
def test_wrong_arguments(change, words):
    with pytest.raises(MedmdError, match=words):
        ViTEncoder(**{**FLAT, **change})
