"""Training batches that depend on seed, stage, epoch and case alone, and cost little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from monai.data import list_data_collate
from monai.transforms import Compose, Randomizable
from monai.utils import MAX_SEED
from torch import Tensor


class Reseeded(Compose):
    """A `Compose` that seeds its transforms in place, to the same states as MONAI's.

    MONAI makes a new generator for each transform, 0.12 ms each, which for small crops is more than the transforms
    themselves; seeding the one that is there takes 0.002 ms.
    """

    def set_random_state(self, seed: int | None = None, state: Any = None) -> Reseeded:
        """As MONAI's; without an integer seed it is MONAI's."""
        if seed is None or "R" not in vars(self):
            super().set_random_state(seed=seed, state=state)
            return self
        self.R.seed(seed % MAX_SEED)
        for transform in self.transforms:
            if isinstance(transform, Randomizable):
                _reseed(transform, int(self.R.randint(MAX_SEED, dtype="uint32")))
        return self


class Stacked:
    """All cases of a split as one batch, for transforms without randomness.

    Args:
        items: what the transforms give, in the order of the split.
    """

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.batch = plain_batch(items)

    def take(self, indices: list[int]) -> dict[str, Any]:
        """The batch of some cases."""
        rows = torch.tensor(indices)
        return {
            name: value[rows] if isinstance(value, Tensor) else [value[index] for index in indices]
            for name, value in self.batch.items()
        }


class StackedLoader:
    """As a data loader over the same cases would give: the sampler's order, incomplete batches dropped.

    Args:
        stacked: the cases.
        sampler: a `SeededSampler`.
        batch_size: rows of a batch.
    """

    def __init__(self, *, stacked: Stacked, sampler: Any, batch_size: int) -> None:
        self.stacked = stacked
        self.sampler = sampler
        self.batch_size = batch_size

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.sampler) // self.batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        order = [key[2] for key in self.sampler]
        for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
            yield self.stacked.take(order[start : start + self.batch_size])


class Memory:
    """Training batches of the newest fold and seed, up to a number of bytes.

    Args:
        limit: bytes; beyond it nothing more is kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._whose: Any = None
        self._groups: dict[Any, dict[int, list[Any]]] = {}

    def group(self, whose: Any, key: Any) -> dict[int, list[Any]]:
        """The batches by epoch of one group; those of another fold or seed are forgotten.

        Args:
            whose: data set, fold and seed.
            key: stage, transforms and order of the batches.
        """
        if whose != self._whose:
            self._whose, self.used = whose, 0
            self._groups.clear()
        return self._groups.setdefault(key, {})

    def keep(self, group: dict[int, list[Any]], epoch: int, batches: list[Any]) -> None:
        """Keep the batches of an epoch if there is room."""
        size = _size(batches)
        if self.used + size <= self.limit:
            self.used += size
            group[epoch] = batches


class Remembered:
    """A training loader that keeps its batches, so that the methods of one fold and seed share those of each stage.

    Args:
        loader: whose sampler is told the epoch.
        memory: where batches are kept.
        whose: data set, fold and seed; the memory holds those of one at a time.
        key: of the stage, of what is made of a case, and of order and size of the batches.
    """

    def __init__(self, *, loader: Any, memory: Memory, whose: tuple[Any, ...], key: tuple[Any, ...]) -> None:
        self.loader = loader
        self.sampler = loader.sampler
        self.batch_size = loader.batch_size
        self.memory = memory
        self.whose = whose
        self.key = (*key, loader.batch_size, len(loader.sampler))

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        group, epoch = self.memory.group(self.whose, self.key), self.sampler.epoch
        if epoch in group:
            yield from group[epoch]
            return
        batches = []
        for batch in self.loader:
            batches.append(batch)
            if len(batches) == len(self.loader):
                # Now: after the last batch of the last epoch a trainer asks for no more.
                self.memory.keep(group, epoch, batches)
            yield batch


def in_batches(items: list[dict[str, Any]], numbers: int = 1 << 22) -> tuple[dict[str, Any], ...]:
    """Cases as a loader for prediction, in batches of at most `numbers` input values."""
    size = sum(value.numel() for value in items[0].values() if isinstance(value, Tensor))
    step = max(1, numbers // max(1, size))
    return tuple(plain_batch(items[start : start + step]) for start in range(0, len(items), step))


def plain_batch(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Items as a data loader collates them."""
    return dict(list_data_collate(items))


def _reseed(transform: Any, seed: int) -> None:
    own = type(transform).set_random_state is not Randomizable.set_random_state
    # A transform that has no generator of its own yet shares that of the class, which must stay as it is.
    if own or "R" not in vars(transform):
        transform.set_random_state(seed=seed)
    else:
        transform.R.seed(seed % MAX_SEED)


def _size(batches: list[Any]) -> int:
    tensors = [value for batch in batches for value in batch.values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
