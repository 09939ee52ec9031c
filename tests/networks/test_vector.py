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
