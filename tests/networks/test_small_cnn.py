import pytest
import torch
from torch import nn

from medmd.networks import SmallCnnEncoder
from medmd.utils import MedmdError


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_shape_and_norm(norm):
    encoder = SmallCnnEncoder(in_channels=3, norm=norm)
    assert encoder(torch.randn(2, 3, 64, 64)).shape == (2, encoder.out_features) == (2, 64)
    groups = sum(isinstance(m, nn.GroupNorm) for m in encoder.modules())
    assert groups == (4 if norm == "group" else 0)


def test_learns_to_tell_bright_from_dark():
    torch.manual_seed(0)
    encoder = SmallCnnEncoder(in_channels=1, planes=[4, 4, 4, 4])
    head = nn.Linear(4, 1)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=0.02)
    level = torch.linspace(-1, 1, 8)
    x = level[:, None, None, None] + 0.05 * torch.randn(8, 1, 16, 16)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (head(encoder(x)).squeeze(1) - level).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05 * level.var().item()


def test_errors():
    with pytest.raises(MedmdError, match="at least 16 pixels"):
        SmallCnnEncoder(in_channels=3)(torch.randn(2, 3, 12, 64))
    with pytest.raises(MedmdError, match="multiples of 4"):
        SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 6], norm="group")
    with pytest.raises(MedmdError, match="four widths"):
        SmallCnnEncoder(in_channels=3, planes=[4, 4])
