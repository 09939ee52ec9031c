"""Batch normalisation for a batch that is too small to have statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def running_statistics(module: nn.Module) -> Iterator[None]:
    """Inside the block every batch norm of `module` uses its running statistics and leaves them as they are."""
    changed = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.training]
    for layer in changed:
        layer.training = False
    try:
        yield
    finally:
        for layer in changed:
            layer.training = True
