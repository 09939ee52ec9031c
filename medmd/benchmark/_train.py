"""One run of a method with a network: the bundle's own training, and its table of predictions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from monai.bundle import ConfigParser

from medmd.benchmark._cohort import Fold, fold_datalist, fold_of
from medmd.benchmark._compose import (
    STAGES,
    fingerprint,
    loading_key,
    parser_of,
    preprocessing_key,
    put_in_place,
    stages_of,
)
from medmd.benchmark._ended import Ended
from medmd.benchmark._job import Job
from medmd.benchmark._loading import Memory, Stacked
from medmd.benchmark._summary import epoch_history, summarise
from medmd.data import CaseDataset

BOTH = ("validation", "testing")
_MEMORY: list[Memory] = []
# Steps of `initialize` that a run of a benchmark takes too.
_TAKEN = ("set_determinism", "network_on_device")


def train(job: Job, splits: Sequence[str] = BOTH) -> Ended:
    """Train once and predict.

    Args:
        job: what to train.
        splits: what to predict; others are not even prepared.

    Raises:
        MedmdError: the configuration or the data cannot be used, or the training diverged.
    """
    torch.set_num_threads(job.limits.threads)
    parser = parser_of(job)
    found = fingerprint(parser)
    stages = stages_of(job, parser)
    key = preprocessing_key(parser)
    datalist = fold_datalist(job)
    context = put_in_place(parser, datalist.path or job.datalist)
    fold = fold_of(job, parser, key)
    _put_data(parser, fold, job, key, splits)
    _reuse_values(parser, fold)
    clocks = time.perf_counter(), time.process_time()
    _initialize(parser, fold)
    trainers = {stage: parser.get_parsed_content(f"{stage}#trainer") for stage in stages}
    for stage in stages:
        trainers[stage].run()
    seconds = {
        "wall": round(time.perf_counter() - clocks[0], 3),
        "processor": round(time.process_time() - clocks[1], 3),
    }
    history = context.history.table()
    network = parser.get_parsed_content("network_on_device")
    steps = {stage: int(trainers[stage].state.iteration) if stage in trainers else 0 for stage in STAGES}
    return Ended(
        predictions=_table(parser, fold, splits, stages),
        history=epoch_history(history),
        steps={**steps, "total": sum(steps.values())},
        epochs={stage: int(trainers[stage].state.epoch) for stage in stages},
        best_epoch=_best_epochs(parser, stages),
        seconds=seconds,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        summary=summarise(history, trainers.get("train")),
        fingerprint=found,
    )


def _put_data(parser: ConfigParser, fold: Fold, job: Job, key: str, splits: Sequence[str]) -> None:
    """Give the configuration the prepared cases in the place of the datasets that it would make."""
    for name, split in (("validate", "validation"), ("evaluate", "testing")):
        # What is not asked for stays a description, which nothing builds.
        if split in splits:
            parser[f"{name}#dataloader"] = fold.batches[split]()
    parser["evaluate#evaluation#loaders"] = {split: f"@{_LOADERS[split]}#dataloader" for split in splits}
    parser["train#dataset"] = range(fold.count) if isinstance(fold.training, Stacked) else _seeded(fold.training, job)
    for stage in STAGES:
        parser[f"{stage}#dataloader"] = _loader(parser, fold, job, key, stage)


_LOADERS = {"validation": "validate", "testing": "evaluate"}


def _seeded(cases: CaseDataset, job: Job) -> CaseDataset:
    # Runs in one process come one after the other, and the cache does not depend on the seed.
    cases.seed = job.seed
    return cases


def _loader(parser: ConfigParser, fold: Fold, job: Job, key: str, stage: str) -> dict[str, Any]:
    if isinstance(fold.training, Stacked):
        return {
            "_target_": "medmd.benchmark._loading.StackedLoader",
            "stacked": fold.training,
            "sampler": f"@{stage}#sampler",
            "batch_size": parser.config[stage]["dataloader"]["batch_size"],
        }
    return {
        "_target_": "medmd.benchmark._loading.Remembered",
        "loader": parser.config[stage]["dataloader"],
        "memory": _memory(job),
        "whose": (str(job.datalist), job.dataset.folds, job.dataset.complete, job.fold, job.seed),
        "key": (stage, key, loading_key(parser, stage)),
    }


def _memory(job: Job) -> Memory:
    limit = job.limits.remember_mib << 20
    # A worker of a cluster may serve several benchmarks.
    if not _MEMORY or _MEMORY[0].limit != limit:
        _MEMORY[:] = [Memory(limit)]
    return _MEMORY[0]


def _reuse_values(parser: ConfigParser, fold: Fold) -> None:
    """Compute once a fold what the configuration takes from the datalist alone, such as the targets' statistics."""
    for name, node in list(parser.config.items()):
        if isinstance(node, dict) and node.get("path") == "@datalist" and _only_reads(node):
            text = repr(sorted(node.items()))
            if text not in fold.values:
                fold.values[text] = parser.get_parsed_content(name)
            parser[name] = fold.values[text]


def _only_reads(node: dict[str, Any]) -> bool:
    values = [value for name, value in node.items() if name not in ("_target_", "path")]
    plain = not any(isinstance(value, str) and value[:1] in ("@", "$", "%") for value in values)
    return plain and str(node.get("_target_", "")).startswith("medmd.data.")


def _initialize(parser: ConfigParser, fold: Fold) -> None:
    """Seed, build the network and give it what it is to know of the data, as the bundle does."""
    for position, step in enumerate(parser.config["initialize"]):
        if "standardize_vectors" in str(step):
            _standardize(parser, fold, f"initialize#{position}")
        elif any(word in str(step) for word in _TAKEN) and "preflight" not in str(step):
            parser.get_parsed_content(f"initialize#{position}")


def _standardize(parser: ConfigParser, fold: Fold, step: str) -> None:
    """Give encoders of vectors their scale, read from the datalist for the first run of a fold only."""
    encoders = dict(getattr(parser.get_parsed_content("network_on_device"), "encoders", {}).items())
    wanted = {name: encoder for name, encoder in encoders.items() if getattr(encoder, "standardize", False)}
    known = fold.values.setdefault("standardize_vectors", {})
    if not wanted.keys() <= known.keys():
        parser.get_parsed_content(step)
        known.update({name: (encoder.mean.tolist(), encoder.std.tolist()) for name, encoder in wanted.items()})
    for name, encoder in wanted.items():
        encoder.set_statistics(*known[name])


def _table(parser: ConfigParser, fold: Fold, splits: Sequence[str], stages: Sequence[str]) -> pd.DataFrame:
    table = parser.get_parsed_content("evaluate#evaluation").table(fold.datalist)
    if "train" not in stages:
        # Of heads that were never trained together.
        table = table[[name for name in table.columns if not name.startswith(("fusion", "unimodal_"))]]
    return table[table["split"].isin(list(splits))].reset_index(drop=True)


def _best_epochs(parser: ConfigParser, stages: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for stage in stages:
        best = parser.get_parsed_content(f"{stage}#best").best
        if isinstance(best, dict):
            found.update({f"{stage}_{name}": int(state.epoch) for name, state in best.items()})
        else:
            found["fusion"] = int(best.epoch)
    return found
