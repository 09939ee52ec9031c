import math

import pytest
import torch

from medmd.networks import Projector, RegressionHead
from medmd.utils import MedmdError


def test_linear_head_is_affine():
    head = RegressionHead(in_features=4)
    x, y = torch.randn(5, 4), torch.randn(5, 4)
    torch.testing.assert_close(head(x + y) - head(y), head(x) - head(torch.zeros(5, 4)), atol=1e-5, rtol=1e-4)


def test_hidden_head_is_the_formula():
    head = RegressionHead(in_features=3, hidden=6)
    x = torch.randn(4, 3)
    inner = (x @ head.hidden.weight.T + head.hidden.bias).clamp(min=0)
    torch.testing.assert_close(head(x), inner @ head.output.weight[0] + head.output.bias)


@pytest.mark.parametrize("mean", [-4.3, -39.9, 5.9])
@pytest.mark.parametrize("output_range", [None, (-40.0, 6.0)])
def test_bias_gives_the_mean(mean, output_range):
    head = RegressionHead(in_features=3, output_range=output_range)
    head.set_bias(mean)
    assert head(torch.zeros(1, 3)).item() == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("mean", [-40.0, 7.0, math.nan, math.inf])
def test_bias_outside_the_range(mean):
    with pytest.raises(MedmdError, match="inside"):
        RegressionHead(in_features=3, output_range=(-40.0, 6.0)).set_bias(mean)


def test_bias_must_be_finite():
    with pytest.raises(MedmdError, match="finite number"):
        RegressionHead(in_features=3).set_bias(math.nan)


@pytest.mark.parametrize("output_range", [(1, 1), (2, 1), (0, math.inf), (1, 2, 3)])
def test_wrong_range(output_range):
    with pytest.raises(MedmdError, match="output_range"):
        RegressionHead(in_features=3, output_range=output_range)


def test_wrong_widths():
    with pytest.raises(MedmdError, match="at least 1"):
        RegressionHead(in_features=3, hidden=0)
    with pytest.raises(MedmdError, match="at least 1"):
        Projector(in_features=3, out_features=0)


def test_projector():
    projector = Projector(in_features=12)
    x = torch.randn(5, 12)
    assert projector(x).shape == (5, projector.out_features) == (5, 128)
    assert projector.hidden.weight.shape == (12, 12)
    inner = (x @ projector.hidden.weight.T + projector.hidden.bias).clamp(min=0)
    torch.testing.assert_close(projector(x), inner @ projector.output.weight.T + projector.output.bias)
    assert Projector(in_features=12, hidden=5, out_features=3).hidden.weight.shape == (5, 12)


def test_projector_is_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = Projector(in_features=4)(torch.randn(3, 4, dtype=torch.bfloat16))
    assert projected.dtype == torch.float32
