"""The methods compared on GRAPE: optic-disc crop and RNFL thickness to mean sensitivity, k folds by subject x seeds.

    python -m data_prep.grape SRC DATA
    python -m benchmarks.grape DATA --work WORK --output docs/results/grape

Every training is composed from the bundle's own configurations (train.json, data/grape.json, an overlay of methods/),
all with the same number of optimizer steps, both stages counted. Each leaves one small file in WORK, so that a study
that was stopped goes on where it stood; the report is written once all are there.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks._grape_data import SPLIT_SEED, Cohort, read_cohort
from benchmarks._grape_runs import TRAININGS, configuration, preprocessing, run
from benchmarks.step_cost import processor
from medmd.utils import MedmdError, atomic_path, load_tensors, progress, read_json, sha256_file, write_json
from medmd.workflows import environment

STUDY = "study.json"
ENVIRONMENT = "environment.json"


@dataclass(frozen=True)
class Study:
    """What the runs depend on.

    Attributes:
        data: folder of the converted release.
        work: folder of the runs.
        epochs: of a whole run, both stages.
        folds: how many.
        seeds: how many, from 0.
        trainings: names in `TRAININGS`.
    """

    data: str
    work: str
    epochs: int
    folds: int
    seeds: int
    trainings: tuple[str, ...]

    def identity(self) -> dict[str, Any]:
        """What must not change between two starts of one study."""
        digest = sha256_file(Path(self.data) / "datalist.json")
        kept = {name: value for name, value in asdict(self).items() if name in ("epochs", "folds")}
        settings = {name: configuration(()).config[name] for name in _SETTINGS}
        return {**kept, "split_seed": SPLIT_SEED, "datalist_sha256": digest, **settings}

    def file(self, training: str, fold: int, seed: int) -> Path:
        """Where a run's result is."""
        return Path(self.work) / "runs" / f"{training}-fold{fold}-seed{seed}.json"

    def groups(self) -> list[tuple[int, int]]:
        """(fold, seed), one seed after the other, so that a study that is stopped has whole seeds."""
        return [(fold, seed) for seed in range(self.seeds) for fold in range(self.folds)]

    def missing(self) -> list[tuple[int, int]]:
        """The groups with a run that is not done."""
        return [
            group for group in self.groups() if any(not self.file(name, *group).exists() for name in self.trainings)
        ]


_SETTINGS = ("batch_size", "learning_rate", "weight_decay", "network", "preprocessing", "augmentation")


def execute(study: Study, jobs: int) -> int:
    """Run what is missing; returns how many groups were run."""
    groups = study.missing()
    if not groups:
        return 0
    done = _in_order(study, groups) if jobs == 1 else _in_parallel(study, groups, jobs)
    for _ in progress(done, total=len(groups), description="Training", unit="fold and seed"):
        pass
    return len(groups)


def run_group(study: Study, cohort: Cohort, fold: int, seed: int) -> None:
    """All trainings of one fold and seed; those of stage 1 first, since others start from them."""
    batches: dict[str, dict[int, list[Any]]] = {"pretrain": {}, "train": {}}
    for name in sorted(study.trainings, key=lambda name: TRAININGS[name].stage):
        path = study.file(name, fold, seed)
        training = TRAININGS[name]
        if path.exists():
            continue
        start = None if training.after is None else _load(_weights(study, training.after, fold, seed))
        result, weights = run(
            training, cohort, fold=fold, seed=seed, epochs=study.epochs, start=start, batches=batches[training.stage]
        )
        if training.stage == "pretrain":
            with atomic_path(_weights(study, name, fold, seed)) as temporary:
                torch.save(weights, temporary)
        write_json(path, result)


def open_study(study: Study) -> None:
    """Make the folder of runs ready.

    Raises:
        MedmdError: it holds runs of another study, or a training's predecessor was left out.
    """
    for name in study.trainings:
        after = TRAININGS[name].after
        if after is not None and after not in study.trainings:
            msg = f"--only: {name} starts from {after}. Name {after} too."
            raise MedmdError(msg)
    for folder in ("runs", "weights"):
        (Path(study.work) / folder).mkdir(parents=True, exist_ok=True)
    path, identity = Path(study.work) / STUDY, study.identity()
    if path.exists() and read_json(path) != identity:
        differing = sorted(key for key, value in read_json(path).items() if value != identity.get(key))
        msg = f"--work {study.work}: holds runs of another study; these differ: {differing}. Choose another folder."
        raise MedmdError(msg)
    write_json(path, identity)
    if not (Path(study.work) / ENVIRONMENT).exists():
        write_json(Path(study.work) / ENVIRONMENT, {**environment("cpu"), "processor": processor()})


def _load(path: Path) -> dict[str, torch.Tensor]:
    return load_tensors(path, role="cached file of the study")


def _weights(study: Study, training: str, fold: int, seed: int) -> Path:
    return Path(study.work) / "weights" / f"{training}-fold{fold}-seed{seed}.pt"


def _prepare(study: Study) -> Cohort:
    torch.set_num_threads(1)
    return read_cohort(Path(study.data), Path(study.work), preprocessing(), folds=study.folds)


def _in_order(study: Study, groups: Sequence[tuple[int, int]]) -> Iterator[None]:
    cohort = _prepare(study)
    for fold, seed in groups:
        run_group(study, cohort, fold, seed)
        yield None


_COHORTS: list[Cohort] = []


def _begin(study: Study) -> None:
    _COHORTS.append(_prepare(study))


def _one(study: Study, fold: int, seed: int) -> None:
    run_group(study, _COHORTS[0], fold, seed)


def _in_parallel(study: Study, groups: Sequence[tuple[int, int]], jobs: int) -> Iterator[None]:
    # Spawned: a forked process would inherit PyTorch's threads in whatever state they are.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(study,)) as pool:
        for future in as_completed([pool.submit(_one, study, *group) for group in groups]):
            future.result()
            yield None


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", help="folder that `python -m data_prep.grape` wrote")
    parser.add_argument("--work", required=True, help="folder of the runs; a stopped study goes on in it")
    parser.add_argument("--output", type=Path, help="write OUTPUT.md, OUTPUT.json and OUTPUT.png")
    parser.add_argument("--epochs", type=int, default=60, help="of a whole run, both stages (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--replicates", type=int, default=2000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(TRAININGS), default=list(TRAININGS), metavar="TRAINING")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and write its report; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("medmd").setLevel(logging.INFO)
    options = parse(arguments)
    study = Study(
        data=str(options.data),
        work=str(options.work),
        epochs=options.epochs,
        folds=options.folds,
        seeds=options.seeds,
        trainings=tuple(options.only),
    )
    try:
        open_study(study)
        execute(study, options.jobs)
        if options.output is not None:
            from benchmarks._grape_report import write_report

            print(write_report(study, options.output, replicates=options.replicates))
    except MedmdError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
