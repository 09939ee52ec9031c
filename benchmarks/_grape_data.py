"""The eyes of the GRAPE study: its folds, and every case decoded and preprocessed once for all runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose, Randomizable
from monai.utils import MAX_SEED
from torch import Tensor

from medmd.data import Case, Datalist, load_datalist, load_items, split_by_patient, target_statistics, write_datalist
from medmd.utils import MedmdError, atomic_path, load_tensors

MODALITIES = ("fundus", "rnfl")
SPLIT_SEED = 0

Fold = dict[str, list[Case]]


@dataclass(frozen=True)
class Cohort:
    """The eyes that have both modalities, by fold.

    Attributes:
        folds: one dictionary training, validation, testing a fold.
        statistics: of the training targets of each fold, as `target_statistics` gives them.
        items: by case id, the deterministic transforms' result.
    """

    folds: list[Fold]
    statistics: list[dict[str, float]]
    items: dict[str, dict[str, Any]]


def read_cohort(data: Path, work: Path, preprocessing: Sequence[Any], *, folds: int) -> Cohort:
    """Read a converted release, fold it by subject, and run the deterministic transforms.

    All eyes are folded, as `python -m data_prep.grape --folds` does it, and those without an RNFL measurement left out
    afterwards, so that a fold of the study holds the eyes of the converter's fold.

    Args:
        data: folder that `python -m data_prep.grape` wrote, whatever its split.
        work: receives `folds/fold-<i>.json`, the datalist of each fold, and `items.pt`, the result of `preprocessing`.
        preprocessing: transforms up to the first random one.
        folds: how many, at least 3.

    Raises:
        MedmdError: `folds` below 3 leaves nothing to test on, or no datalist.
    """
    path = data / "datalist.json"
    datalist = load_datalist(path)
    found = fold_cases(datalist, folds)
    return Cohort(
        folds=found,
        statistics=[_statistics(work / "folds" / f"fold-{i}.json", datalist, fold) for i, fold in enumerate(found)],
        items=_remembered(work / "items.pt", lambda: _items(path, datalist.splits, Compose(list(preprocessing)))),
    )


def fold_cases(datalist: Datalist, folds: int) -> list[Fold]:
    """The folds by subject, of the eyes that have both modalities.

    Raises:
        MedmdError: `folds` below 3 leaves nothing to test on.
    """
    if folds < 3:
        msg = f"folds: expected at least 3 (training, validation, testing), got {folds}."
        raise MedmdError(msg)
    cases = [case for _, case in datalist.cases()]
    parts = split_by_patient(cases, seed=SPLIT_SEED, folds=folds, target=datalist.header.target)
    return [{name: _complete(each) for name, each in part.items()} for part in parts]


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


class Remembered:
    """A training loader that keeps its batches by epoch, so that runs of one fold, seed and stage share them.

    Order and augmentation depend on the seed, the stage and the epoch alone: every method gets equal batches, and only
    the first one has to wait for them.

    Args:
        loader: the loader, whose sampler is told the epoch.
        batches: by epoch, filled here.
    """

    def __init__(self, loader: Any, batches: dict[int, list[Any]]) -> None:
        self.loader = loader
        self.batches = batches

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        epoch = self.loader.sampler.epoch
        if epoch not in self.batches:
            self.batches[epoch] = list(self.loader)
        return iter(self.batches[epoch])


def _reseed(transform: Any, seed: int) -> None:
    own = type(transform).set_random_state is not Randomizable.set_random_state
    # A transform that has no generator of its own yet shares that of the class, which must stay as it is.
    if own or "R" not in vars(transform):
        transform.set_random_state(seed=seed)
    else:
        transform.R.seed(seed % MAX_SEED)


def _complete(cases: Sequence[Case]) -> list[Case]:
    return [case for case in cases if case.target is not None and set(MODALITIES) <= set(case.present)]


def _statistics(path: Path, datalist: Datalist, fold: Mapping[str, Sequence[Case]]) -> dict[str, float]:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_datalist(path, Datalist(header=datalist.header, splits=fold))
    return dict(target_statistics(path))


def _remembered(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` gives, kept in a file for the study's other processes and later starts."""
    if not path.exists():
        with atomic_path(path) as temporary:
            torch.save(make(), temporary)
    return load_tensors(path, role="cached file of the study")


def _items(path: Path, splits: Mapping[str, Any], preprocessing: Compose) -> dict[str, dict[str, Any]]:
    found = {}
    for split in splits:
        for item in load_items(path, split, labelled=True):
            if set(MODALITIES) <= set(item):
                ready = preprocessing(item)
                kept = {name: torch.as_tensor(ready[name]).as_subclass(Tensor) for name in MODALITIES}
                found[ready["case_id"]] = {"case_id": ready["case_id"], "target": float(ready["target"]), **kept}
    return found
