"""The order of the cases, known from the seed alone, so that a stopped run goes on where it stood."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from medmd.utils import derive_seed

Key = tuple[str, int, int] | tuple[str, int, int, int]


class SeededSampler(Sampler[Key]):
    """Yields (stage, epoch, index) in an order that depends on (seed, stage, epoch) only.

    With several views it yields (stage, epoch, index, view) instead, the views of a case one after the other: the same
    order of cases, each augmented several times.

    `CaseDataset` seeds its random transforms from such a tuple. Call `set_epoch` before each epoch.

    Args:
        length: number of cases of the dataset.
        seed: the run's seed.
        stage: name of the training stage, so that stages differ.
        shuffle: False keeps the order of the datalist.
        views: how often each case comes, each time with another draw of the random transforms. A batch holds whole
            cases when its size is a multiple of it.
        rank: number of this process in a distributed run.
        world: number of processes. Each takes every `world`-th case of the common order; the order is first extended
            by its own beginning to a multiple of `world`, so that all processes take equally many steps. Tables of
            predictions drop the repeated cases by `case_id`.
    """

    def __init__(
        self,
        length: int,
        *,
        seed: int,
        stage: str,
        shuffle: bool = True,
        views: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if length < 1:
            msg = f"length: expected at least one case, got {length}."
            raise ValueError(msg)
        if not 0 <= rank < world:
            msg = f"rank: expected 0 <= rank < world, got rank {rank} of {world}."
            raise ValueError(msg)
        if views < 1:
            msg = f"views: expected at least 1, got {views}."
            raise ValueError(msg)
        self.length, self.seed, self.stage, self.shuffle = length, seed, stage, shuffle
        self.views, self.rank, self.world = views, rank, world
        self.epoch = self.skip = 0

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Choose the epoch whose order comes next.

        Args:
            epoch: number of the epoch.
            skip: how many items of this process were consumed before the run was stopped; they are left out.
        """
        if not 0 <= skip <= len(self):
            msg = f"skip: expected 0 to {len(self)} (the items of an epoch), got {skip}."
            raise ValueError(msg)
        self.epoch, self.skip = epoch, skip

    def __iter__(self) -> Iterator[Key]:
        # Frozen here: a worker that prefetches must not see the next call of set_epoch.
        epoch = self.epoch
        indices = [int(index) for index in self._order(epoch)[self.rank :: self.world]]
        if self.views == 1:
            return iter([(self.stage, epoch, index) for index in indices[self.skip :]])
        return iter([(self.stage, epoch, index, view) for index in indices for view in range(self.views)][self.skip :])

    def __len__(self) -> int:
        """Items of this process in a whole epoch, whatever is skipped, so that an epoch's length never changes."""
        return self._cases() * self.views

    def _cases(self) -> int:
        return -(-self.length // self.world)

    def _order(self, epoch: int) -> np.ndarray:
        order = np.arange(self.length)
        if self.shuffle:
            # RandomState's stream is frozen by NumPy's policy, that of Generator is not.
            order = np.random.RandomState(derive_seed(self.seed, self.stage, "order", epoch)).permutation(order)
        return np.resize(order, self._cases() * self.world)
