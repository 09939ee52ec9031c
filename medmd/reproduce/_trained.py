"""A trained model of the bundle and the loss of its cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medmd.data import load_items
from medmd.workflows import load_model_folder

_CASES = 64


def model_and_loss(run: Path, datalist: Path, *, split: str = "validation") -> tuple[nn.Module, Callable[[], Tensor]]:
    """The best weights of a run, and a function that gives the mean squared error of its fused head as it stands.

    Args:
        run: folder of a finished run of the bundle.
        datalist: its datalist.
        split: whose cases; the first 64 that have all inputs.
    """
    from monai.data import list_data_collate

    model = load_model_folder(run / "model")
    names = list(model.network.modalities)
    items = [
        item for item in load_items(datalist, split, labelled=True) if all(item.get(name) is not None for name in names)
    ]
    batch: dict[str, Any] = list_data_collate([model.preprocessing(_seen(item, names)) for item in items[:_CASES]])
    target = torch.as_tensor(np.array([item["target"] for item in items[:_CASES]]), dtype=torch.float32)
    inputs = {name: batch[name] for name in names}

    def loss() -> Tensor:
        predicted = model.network(inputs, batch.get("present")).fusion
        return torch.mean((predicted - target) ** 2)

    return model.network, loss


def _seen(item: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {key: item.get(key) for key in ("case_id", "laterality", *names)}
