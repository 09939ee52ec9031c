"""A first-in first-out memory of features and labels, so that a small batch has more to be compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_EMPTY = -1


class FeatureQueue(nn.Module):
    """The last `size` features with their labels, detached; buffers, hence part of the checkpoint.

    Args:
        size: number of places, at least 0.
    """

    features: Tensor
    labels: Tensor
    iterations: Tensor
    position: Tensor

    def __init__(self, *, size: int) -> None:
        super().__init__()
        if size < 0:
            msg = f"size: expected a whole number of at least 0; got {size!r}."
            raise ValueError(msg)
        self.size = size
        # The width is known at the first batch, or from the checkpoint.
        self.register_buffer("features", torch.zeros(size, 0))
        self.register_buffer("labels", torch.zeros(size))
        self.register_buffer("iterations", torch.full((size,), _EMPTY, dtype=torch.long))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))

    def filled(self, iteration: int) -> Tensor:
        """(size,) bool: places that hold a feature of an earlier iteration, so that no batch meets itself."""
        return (self.iterations != _EMPTY) & (self.iterations < iteration)

    @torch.no_grad()
    def push(self, features: Tensor, labels: Tensor, iteration: int) -> None:
        """Store (N, D) features and (N,) labels over the oldest places; of more than `size` the last are kept."""
        if not self.size or not len(labels):
            return
        features, labels = features[-self.size :], labels[-self.size :]
        self._fit(features)
        steps = torch.arange(len(labels), device=self.position.device)
        places = (self.position + steps) % self.size
        self.features.index_copy_(0, places, features.detach().to(self.features.dtype))
        self.labels.index_copy_(0, places, labels.detach().to(self.labels.dtype))
        self.iterations.index_fill_(0, places, iteration)
        self.position.copy_((self.position + len(labels)) % self.size)

    def _fit(self, features: Tensor) -> None:
        """Give the places the width, type and device of the first batch."""
        if self.features.shape[1] == 0:
            self.features = features.new_zeros(self.size, features.shape[1])
            self.labels = self.labels.to(features)
            self.iterations = self.iterations.to(features.device)
            self.position = self.position.to(features.device)
        elif self.features.shape[1] != features.shape[1]:
            msg = f"the queue holds features of width {self.features.shape[1]}; got width {features.shape[1]}."
            raise ValueError(msg)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *further: Any) -> None:
        stored = state_dict.get(f"{prefix}features")
        if stored is not None and len(stored) == self.size:
            self.features = torch.zeros_like(stored, device=self.features.device)
            self.labels = self.labels.to(stored.dtype)
        super()._load_from_state_dict(state_dict, prefix, *further)
