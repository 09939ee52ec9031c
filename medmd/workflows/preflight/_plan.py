"""What a run is going to do, as far as it matters before its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medmd.workflows.preflight._disk import DiskPlan
from medmd.workflows.preflight._files import Cohort
from medmd.workflows.preflight._memory import MemoryPlan

_TRAINING = ("pretrain", "train")
_STAGES = (*_TRAINING, "evaluate")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of a run.

    Args:
        datalist: its path, or what gives the path when called; called only when nothing cheaper was found wrong, since
            it may make a phantom cohort.
        output_dir: the run's folder.
        modalities: the inputs to use.
        transform: deterministic transforms, which end in `PackInputsd`.
        augmented: those of training.
        network: plain description of the network, or None to leave it out of the estimate.
        device: where to compute.
        autocast_dtype: `None` or `"bfloat16"`.
        stages: what will run.
        pretraining: false for a method without stage 1.
        batch_size: cases of a batch.
        num_workers: processes of a loader.
        cache: whether prepared cases are kept in memory.
        cache_workers: threads that fill the cache.
        pretrain_epochs: passes over the data in stage 1.
        train_epochs: passes over the data in stage 2.
        keep_checkpoints: how many stay of each stage.
        tracking: whether an MLflow run is kept in the output folder.
        dataset_dir: the data set that the user named, or None for the phantom cohort.
        phantom_dir: where the phantom cohort will be made when it is absent; None for data of one's own.
        phantom_eyes: how many eyes it will have.
    """

    datalist: str | Path | Callable[[], str | Path]
    output_dir: str | Path
    modalities: Sequence[str]
    transform: Any
    augmented: Any
    network: Mapping[str, Any] | None = None
    device: str | torch.device = "cpu"
    autocast_dtype: str | None = None
    stages: Sequence[str] = _STAGES
    pretraining: bool = True
    batch_size: int = 8
    num_workers: int = 0
    cache: bool = True
    cache_workers: int = 1
    pretrain_epochs: int = 0
    train_epochs: int = 0
    keep_checkpoints: int = 2
    tracking: bool = True
    dataset_dir: str | Path | None = None
    phantom_dir: str | Path | None = None
    phantom_eyes: int = 0

    @property
    def makes_phantom(self) -> bool:
        """Whether the phantom cohort has still to be made."""
        if self.dataset_dir is not None or self.phantom_dir is None:
            return False
        return not (Path(self.phantom_dir) / "datalist.json").is_file()

    @property
    def run_stages(self) -> tuple[str, ...]:
        """The stages that will run."""
        return tuple(stage for stage in self.stages if self.pretraining or stage != "pretrain")

    @property
    def trains(self) -> int:
        """How many of them train."""
        return sum(stage in _TRAINING for stage in self.run_stages)

    def memory(self, cohort: Cohort) -> MemoryPlan:
        """What the estimate of memory starts from."""
        return MemoryPlan(
            training=cohort.count("training"),
            validation=cohort.count("validation"),
            voxels=cohort.voxels,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            cache=self.cache,
            cache_workers=self.cache_workers,
            pretraining="pretrain" in self.run_stages,
            trains=self.trains > 0,
        )

    def disk(self, cohort: Cohort) -> DiskPlan:
        """What the estimate of the disk starts from."""
        lengths = {"pretrain": self.pretrain_epochs, "train": self.train_epochs}
        epochs = sum(lengths.get(stage, 0) for stage in self.run_stages)
        return DiskPlan(
            steps=epochs * (cohort.count("training") // max(1, self.batch_size)),
            training_stages=self.trains,
            keep_checkpoints=self.keep_checkpoints,
            tracking=self.tracking,
        )
