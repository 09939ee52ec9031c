"""Small models that satisfy what a balancer asks for, and the golden cases."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from medmd.balancing import Losses

GOLDEN = Path(__file__).parents[1] / "golden"


class GoldenModel(nn.Module):
    """Encoders tanh(x W^T + b) and linear heads in float64, with the golden file's parameters."""

    def __init__(self, parameters):
        super().__init__()
        self.encoders = nn.ModuleDict({k: _linear(v) for k, v in parameters["encoders"].items()})
        self.heads = nn.ModuleDict({k: _linear(v) for k, v in parameters["unimodal_heads"].items()})
        self.fusion_head = _linear(parameters["fusion_head"])

    def encoder_parameters(self):
        return {name: list(encoder.parameters()) for name, encoder in self.encoders.items()}

    def shared_parameters(self):
        return list(self.encoders.parameters())

    def head_parameters(self):
        return [*self.heads.parameters(), *self.fusion_head.parameters()]

    def closure(self, batch):
        inputs = {k: torch.tensor(batch[k], dtype=torch.float64) for k in self.encoders}
        target = torch.tensor(batch["target"], dtype=torch.float64)

        def run():
            features = {k: torch.tanh(self.encoders[k](x)) for k, x in inputs.items()}
            fused = self.fusion_head(torch.cat(list(features.values()), dim=1)).flatten()
            single = {k: (self.heads[k](z).flatten() - target).square().mean() for k, z in features.items()}
            return Losses((fused - target).square().mean(), single)

        return run


def _linear(pair):
    weight, bias = (torch.tensor(each, dtype=torch.float64) for each in pair)
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer


class ToyModel(nn.Module):
    """K encoders with BatchNorm and dropout, a head each and a fusion head; counts its forward passes."""

    def __init__(self, names=("oct", "fundus"), width=5, dropout=0.3, dtype=torch.float64, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.names = tuple(names)

        def encoder():
            return nn.Sequential(
                nn.Linear(6, width),
                nn.BatchNorm1d(width),
                nn.Tanh(),
                nn.Dropout(dropout),
                nn.Linear(width, 4),
                nn.Tanh(),
            )

        self.encoders = nn.ModuleDict({name: encoder() for name in self.names})
        self.heads = nn.ModuleDict({name: nn.Linear(4, 1) for name in self.names})
        self.fusion_head = nn.Linear(4 * len(self.names), 1)
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(2))
        self.calls = 0
        self.to(dtype)

    def encoder_parameters(self):
        return {name: list(encoder.parameters()) for name, encoder in self.encoders.items()}

    def shared_parameters(self):
        return list(self.encoders.parameters())

    def head_parameters(self):
        return [*self.heads.parameters(), *self.fusion_head.parameters()]

    def closure(self, seed=0, batch=8, absent=(), opposed=True, fusion=True, tail=0.0):
        """Targets of the unimodal heads differ from the fused one when `opposed`, so that conflicts occur.

        Rows whose target is below `tail` are the tail.
        """
        generator = torch.Generator().manual_seed(seed)
        dtype = self.unused.dtype
        inputs = {
            name: torch.randn(batch, 6, generator=generator, dtype=torch.float64).to(dtype) for name in self.names
        }
        target = torch.randn(batch, generator=generator, dtype=torch.float64).to(dtype)
        other = torch.randn(batch, generator=generator, dtype=torch.float64).to(dtype) if opposed else target

        def run():
            self.calls += 1
            features = {name: self.encoders[name](x) for name, x in inputs.items()}
            fused = self.fusion_head(torch.cat(list(features.values()), dim=1)).flatten()
            contributions = (fused - target).square() / batch if fusion else torch.zeros_like(target)
            single, scores = {}, {}
            for name, feature in features.items():
                error = self.heads[name](feature).flatten() - other
                single[name] = error.new_zeros(()) if name in absent else error.square().mean()
                contributions = contributions if name in absent else contributions + error.square() / batch
                scores[name] = error.new_full((), torch.nan) if name in absent else error.detach().abs().mean()
            loss = (fused - target).square().mean() if fusion else None
            return Losses(loss, single, scores, per_sample=contributions, tail=target < tail)

        return run


@pytest.fixture
def golden_cases():
    return json.loads((GOLDEN / "sgm.json").read_text())


@pytest.fixture
def golden_model():
    return GoldenModel


@pytest.fixture
def toy():
    return ToyModel
