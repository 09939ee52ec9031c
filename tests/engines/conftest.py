"""Tiny eyes and networks, and both trainers on them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.data import DataLoader
from torch import Tensor

from medmd.balancing import UniformSum
from medmd.engines import ContrastiveTrainer, FusionTrainer
from medmd.handlers import SeedIterations
from medmd.losses import AdaptiveMarginSupConLoss, MeanSquaredErrorLoss
from medmd.networks import MultimodalRegressor, ResNetEncoder, SmallCnnEncoder, VectorEncoder

STATISTICS = {"mean": -8.0, "std": 4.0, "variance": 16.0, "tail_threshold": -12.0}


def make_cases(number: int = 8, *, seed: int = 0, missing: dict[int, str] | None = None) -> list[dict]:
    """Packed items: a vector of 6 as `oct`, a 3 x 16 x 16 picture as `fundus`, a target that both show."""
    random = np.random.RandomState(seed)
    cases = []
    for index in range(number):
        target = float(-16 * random.rand())
        absent = (missing or {}).get(index)
        case = {
            "oct": torch.tensor(random.randn(6) + target / 8, dtype=torch.float32),
            "fundus": torch.tensor(random.randn(3, 16, 16) + target / 8, dtype=torch.float32),
            "present": torch.tensor([absent != "oct", absent != "fundus"]),
            "target": torch.tensor(target),
            "case_id": f"c{index:03d}",
        }
        if absent:
            case[absent] = torch.zeros_like(case[absent])
        cases.append(case)
    return cases


def make_network(*, seed: int = 0, norm: str = "none", dropout: float = 0.0) -> MultimodalRegressor:
    torch.manual_seed(seed)
    encoders = {
        "oct": VectorEncoder(in_features=6, hidden=[8], out_features=8, norm=norm, dropout=dropout),
        "fundus": SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 8], norm="batch" if norm == "batch" else "group"),
    }
    network = MultimodalRegressor(encoders)
    network.set_output_bias(STATISTICS["mean"])
    return network


def make_volume_network() -> MultimodalRegressor:
    torch.manual_seed(0)
    return MultimodalRegressor(
        {
            "oct": ResNetEncoder(spatial_dims=3, in_channels=1, depth=10, planes=[4, 4, 8, 8], stem_size=3),
            "fundus": SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 8]),
        }
    )


def fusion_trainer(network: MultimodalRegressor, cases: list[dict], **options) -> FusionTrainer:
    batch_size = options.pop("batch_size", 4)
    handlers = options.pop("train_handlers", [])
    arguments = {
        "device": "cpu",
        "max_epochs": 1,
        "train_data_loader": DataLoader(cases, batch_size=batch_size),
        "network": network,
        "optimizer": torch.optim.SGD(network.parameters(), lr=1e-3),
        "loss_function": MeanSquaredErrorLoss(),
        "balancer": UniformSum(),
        "train_handlers": [SeedIterations(seed=0, stage="train"), *handlers],
    }
    return FusionTrainer(**{**arguments, **options})


def contrastive_trainer(network: MultimodalRegressor, cases: list[dict], **options) -> ContrastiveTrainer:
    batch_size = options.pop("batch_size", 4)
    handlers = options.pop("train_handlers", [])
    arguments = {
        "device": "cpu",
        "max_epochs": 1,
        "train_data_loader": DataLoader(cases, batch_size=batch_size),
        "network": network,
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
        "loss_function": MeanSquaredErrorLoss(),
        "contrastive_loss": AdaptiveMarginSupConLoss(warmup_iterations=2),
        "target_statistics": STATISTICS,
        "projector_features": 4,
        "train_handlers": [SeedIterations(seed=0, stage="pretrain"), *handlers],
    }
    return ContrastiveTrainer(**{**arguments, **options})


class _Tiny:
    statistics = STATISTICS
    cases = staticmethod(make_cases)
    network = staticmethod(make_network)
    volume_network = staticmethod(make_volume_network)
    fusion = staticmethod(fusion_trainer)
    contrastive = staticmethod(contrastive_trainer)

    @staticmethod
    def gradients(network: MultimodalRegressor) -> dict[str, Tensor]:
        return {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}

    @staticmethod
    def weights(network: torch.nn.Module) -> dict[str, Tensor]:
        return {name: each.clone() for name, each in network.state_dict().items()}


@pytest.fixture
def tiny() -> type[_Tiny]:
    """Makers of cases, networks and trainers, and views of a network's numbers."""
    return _Tiny


@pytest.fixture
def collate() -> Callable[..., dict]:
    return lambda cases: next(iter(DataLoader(cases, batch_size=len(cases))))
