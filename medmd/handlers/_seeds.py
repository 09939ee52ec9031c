"""Random numbers that depend on the place in the run, not on how the run got there."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events

from medmd.utils import derive_seed


class SeedIterations:
    """Seeds every iteration by (seed, stage, iteration) and tells the sampler its epoch and what was consumed of it.

    `set_determinism` alone makes whole runs repeatable, not resumable: after an interruption the generators stand
    elsewhere. Here each iteration starts from its own seed, the sampler draws its order and each case its
    augmentation from (seed, stage, epoch, index), and an epoch that was begun goes on after the last batch that was
    used, so that a run that was stopped equals one that was not, for any number of workers.

    Args:
        seed: the run's seed.
        stage: name of the stage, so that both stages draw differently.
        sampler: a `medmd.data.SeededSampler`, told at the start of each epoch; or `None`.
        batch_size: items of the sampler an iteration, to skip what an interrupted epoch has used.
    """

    def __init__(self, *, seed: int, stage: str, sampler: Any = None, batch_size: int = 1) -> None:
        self.seed = seed
        self.stage = stage
        self.sampler = sampler
        self.batch_size = batch_size
        kind = torch.accelerator.current_accelerator()
        self._has_other_device = kind is not None and kind.type != "cuda"

    def attach(self, engine: Engine) -> None:
        """Register on `engine`; Ignite fires EPOCH_STARTED before it makes the loader's iterator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
        engine.add_event_handler(Events.ITERATION_STARTED, self._start_iteration)

    def _start_epoch(self, engine: Engine) -> None:
        if self.sampler is None:
            return
        done = engine.state.iteration % (engine.state.epoch_length or 1)
        self.sampler.set_epoch(engine.state.epoch, skip=done * self.batch_size)

    def _start_iteration(self, engine: Engine) -> None:
        seed = derive_seed(self.seed, self.stage, engine.state.iteration)
        random.seed(seed)
        np.random.seed(seed)
        self._seed_torch(seed)

    def _seed_torch(self, seed: int) -> None:
        """As `torch.manual_seed`, without its cost: that queues the seed for every kind of device, used or not."""
        if self._has_other_device:
            torch.manual_seed(seed)
            return
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
