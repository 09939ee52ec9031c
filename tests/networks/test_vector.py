import pytest
import torch
from torch import nn

from medmd.networks import VectorEncoder
from medmd.utils import MedmdError


@pytest.mark.parametrize(("norm", "kind"), [("none", None), ("layer", nn.LayerNorm), ("batch", nn.BatchNorm1d)])
def test_norms(norm, kind):
    encoder = VectorEncoder(in_features=4, hidden=[8, 6], out_features=5, norm=norm, dropout=0.1)
    found = [type(m) for m in encoder.modules() if isinstance(m, nn.LayerNorm | nn.BatchNorm1d)]
    assert found == ([kind] * 3 if kind else [])
    assert encoder(torch.randn(3, 4)).shape == (3, encoder.out_features) == (3, 5)


def test_plain_mlp_is_the_formula():
    encoder = VectorEncoder(in_features=4, hidden=[8], out_features=5)
    x = torch.randn(3, 4)
    for layer in (encoder.layers[0][0], encoder.layers[1][0]):
        x = (x @ layer.weight.T + layer.bias).clamp(min=0)
    torch.manual_seed(0)
    y = torch.randn(3, 4)
    expected = y
    for layer in (encoder.layers[0][0], encoder.layers[1][0]):
        expected = (expected @ layer.weight.T + layer.bias).clamp(min=0)
    torch.testing.assert_close(encoder(y), expected)


def test_errors():
    with pytest.raises(MedmdError, match=r"expected shape \(B, 4\), got \(3, 5\)"):
        VectorEncoder(in_features=4)(torch.randn(3, 5))
    with pytest.raises(MedmdError, match=r"hidden\[1\]"):
        VectorEncoder(in_features=4, hidden=[3, 0])
    with pytest.raises(MedmdError, match="norm"):
        VectorEncoder(in_features=4, norm="group")


def test_standardised_by_constants_that_the_weights_carry():
    mean, std = torch.tensor([100.0, -3.0, 0.0, 7.0]), torch.tensor([20.0, 0.5, 1e-4, 1.0])
    plain = VectorEncoder(in_features=4, hidden=[8], out_features=5)
    encoder = VectorEncoder(in_features=4, hidden=[8], out_features=5, standardize=True)
    encoder.layers.load_state_dict(plain.layers.state_dict())
    x = mean + std * torch.randn(6, 4)
    torch.testing.assert_close(encoder(x / 100), plain(x / 100))  # Until they are set.
    encoder.set_statistics(mean.tolist(), std.tolist())
    torch.testing.assert_close(encoder(x), plain((x - mean) / std), rtol=1e-3, atol=1e-3)
    assert set(encoder.state_dict()) - set(plain.state_dict()) == {"mean", "std"}
    assert {name for name, _ in encoder.named_parameters()} == {name for name, _ in plain.named_parameters()}
    copy = VectorEncoder(in_features=4, hidden=[8], out_features=5, standardize=True)
    copy.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(copy(x), encoder(x))


def test_a_value_far_away_is_brought_within_ten_spreads():
    encoder = VectorEncoder(in_features=2, hidden=[4], standardize=True)
    encoder.set_statistics([0.0, 0.0], [1.0, 1.0])
    far, near = torch.tensor([[1e6, -1e6]]), torch.tensor([[10.0, -10.0]])
    torch.testing.assert_close(encoder(far), encoder(near))


@pytest.mark.parametrize(("mean", "std"), [([0.0] * 3, [1.0] * 4), ([0.0] * 4, [1.0, 1.0, 1.0, 0.0])])
def test_statistics_that_do_not_fit(mean, std):
    with pytest.raises(MedmdError, match="expected an encoder with standardize, 4 means"):
        VectorEncoder(in_features=4, standardize=True).set_statistics(mean, std)
    with pytest.raises(MedmdError, match="standardize=False"):
        VectorEncoder(in_features=4).set_statistics([0.0] * 4, [1.0] * 4)
