import pytest
import torch
from torch import nn

from medmd.networks._running_statistics import running_statistics


def test_modes_come_back_also_after_an_error():
    frozen = nn.BatchNorm2d(2).eval()
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), frozen)
    inside = []

    def interrupted():
        with running_statistics(module):
            inside.extend(layer.training for layer in module)
            module(torch.randn(3))

    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        interrupted()
    assert inside == [False, True, False]
    assert [layer.training for layer in module] == [True, True, False]


def test_running_statistics_are_used_and_kept():
    norm = nn.BatchNorm1d(2)
    norm.running_mean.fill_(3.0)
    with running_statistics(norm):
        out = norm(torch.full((1, 2), 3.0))
    assert torch.equal(out, torch.zeros(1, 2))
    assert norm.running_mean.tolist() == [3.0, 3.0]
    assert norm.num_batches_tracked.item() == 0
