"""One training of the GRAPE study, composed from the bundle's own configurations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ignite.engine import Events
from monai.bundle import ConfigParser
from monai.data import list_data_collate
from monai.utils import set_determinism

from benchmarks._grape_data import MODALITIES, Cohort, Remembered, Reseeded
from medmd.data import CaseDataset
from medmd.engines import RegressionEvaluator, predict_table
from medmd.handlers import History

BUNDLE = Path(__file__).resolve().parents[1] / "bundles" / "remd"
# They write files, which these runs do not need.
_LEFT_OUT = ("TrackMLflow", "ShowProgress", "Checkpoint")
# Numbers are fetched at the end of an epoch only.
_NEVER = 10**6


@dataclass(frozen=True)
class Training:
    """What is trained once for each fold and seed.

    Attributes:
        name: of its files.
        overlays: of `bundles/remd/methods`.
        stage: the trainer that runs, `pretrain` or `train`.
        share: of the study's epochs.
        after: the training of stage 1 whose weights it starts from, or None for random ones.
    """

    name: str
    overlays: tuple[str, ...]
    stage: str = "train"
    share: float = 1.0
    after: str | None = None

    def epochs(self, total: int) -> int:
        """Epochs of this training when a whole run has `total`; both stages together have exactly `total`."""
        first = max(1, round(total * STAGE_ONE))
        return {STAGE_ONE: first, 1 - STAGE_ONE: total - first}.get(self.share, total)


STAGE_ONE = 1 / 3
_PLAIN, _CONTRAST_OFF = "no_pretraining", "contrastive_weight_0"
TRAININGS = {
    training.name: training
    for training in (
        Training("unimodal", ("uniform_sum", _CONTRAST_OFF), "pretrain"),
        Training("joint_loss", ("joint_loss", _PLAIN)),
        Training("uniform_sum", ("uniform_sum", _PLAIN)),
        Training("ogm_ge", ("ogm_ge", _PLAIN)),
        Training("mmpareto", ("mmpareto", _PLAIN)),
        Training("sgm", ("sgm", _PLAIN)),
        Training("stage1", ("sgm",), "pretrain", STAGE_ONE),
        Training("stage1_weight_0", ("sgm", _CONTRAST_OFF), "pretrain", STAGE_ONE),
        Training("stage1_uniform_sum", ("uniform_sum",), "train", 1 - STAGE_ONE, "stage1"),
        Training("stage1_weight_0_uniform_sum", ("uniform_sum",), "train", 1 - STAGE_ONE, "stage1_weight_0"),
        Training("remd", ("sgm",), "train", 1 - STAGE_ONE, "stage1"),
    )
}


def configuration(overlays: Sequence[str]) -> ConfigParser:
    """The bundle's training with the data set's overlay and those of a method."""
    parser = ConfigParser()
    files = [BUNDLE / "train.json", BUNDLE / "data" / "grape.json"]
    parser.read_config([str(file) for file in (*files, *(BUNDLE / "methods" / f"{name}.json" for name in overlays))])
    return parser


def preprocessing() -> list[Any]:
    """The overlay's deterministic transforms without the packing."""
    return list(configuration(()).get_parsed_content("preprocessing")[:-1])


def run(
    training: Training,
    cohort: Cohort,
    *,
    fold: int,
    seed: int,
    epochs: int,
    start: dict[str, torch.Tensor] | None = None,
    batches: dict[int, list[Any]] | None = None,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Train once and predict the fold's test eyes.

    Args:
        training: what to train.
        cohort: the eyes.
        fold: which fold.
        seed: of the weights, the order and the augmentation.
        epochs: of a whole run, both stages.
        start: weights to start from, or None.
        batches: training batches by epoch of this fold, seed and stage, filled here and shared between runs.

    Returns:
        What the report needs, as JSON values, and the network's weights of the best epoch.
    """
    history = History()
    parser = configuration(training.overlays)
    packing = _compose(parser, cohort, history, fold=fold, seed=seed, epochs=training.epochs(epochs))
    set_determinism(seed)
    network = parser.get_parsed_content("network_on_device")
    network.set_output_bias(cohort.statistics[fold]["mean"])
    if start is not None:
        network.load_state_dict(start)
    trainer = parser.get_parsed_content(f"{training.stage}#trainer")
    trainer.data_loader = Remembered(trainer.data_loader, {} if batches is None else batches)
    best = parser.get_parsed_content(f"{training.stage}#best")
    tests = _batch(cohort, cohort.folds[fold]["testing"], packing)
    last: list[pd.DataFrame] = []
    # Before the end of the stage puts the best weights back.
    trainer.add_event_handler(
        Events.EPOCH_COMPLETED(once=trainer.state.max_epochs),
        lambda: last.append(predict_table(network, tests, "cpu")),
    )
    clocks = time.perf_counter(), time.process_time()
    trainer.run()
    result = {
        "training": training.name,
        "fold": fold,
        "seed": seed,
        "steps": trainer.state.iteration,
        "epochs": trainer.state.max_epochs,
        "best_epoch": _best_epochs(best),
        "seconds": {
            "wall": round(time.perf_counter() - clocks[0], 3),
            "processor": round(time.process_time() - clocks[1], 3),
        },
        "logs": summarise(history.table(), training.stage),
        "predictions": _columns(predict_table(network, tests, "cpu")),
        "last": _columns(last[0]),
    }
    return result, {name: value.detach().clone() for name, value in network.state_dict().items()}


def summarise(history: pd.DataFrame, stage: str) -> dict[str, float]:
    """Means over the steps of what the balancer logs, and the share of gammas at a bound.

    A gamma counts as clipped when it is the smallest or largest that the ratio's bounds allow.
    """
    steps = history[history["stage"] == stage]
    wanted = [name for name in steps["name"].unique() if name.split("_")[0] in _LOGGED or name.endswith("head")]
    found = {str(name): float(steps.loc[steps["name"] == name, "value"].mean()) for name in wanted}
    gamma = steps.loc[steps["name"] == "gamma", "value"].to_numpy()
    if len(gamma):
        low, high = (_GAMMA_BASE * bound for bound in _RATIO_CLIP)
        # Ratios are float32.
        found["clipped_low"] = float(np.isclose(gamma, low, rtol=1e-5).mean())
        found["clipped_high"] = float(np.isclose(gamma, high, rtol=1e-5).mean())
    return found


_LOGGED = ("gamma", "conflict", "cosine", "alpha", "coefficient")
# Defaults of SGM, which the overlays keep.
_GAMMA_BASE, _RATIO_CLIP = 1.5, (1 / 3, 3.0)


def _compose(parser: ConfigParser, cohort: Cohort, history: History, *, fold: int, seed: int, epochs: int) -> list[Any]:
    """Give the parsed configuration the prepared eyes and take out what writes files; returns the packing."""
    packing = list(parser.get_parsed_content("preprocessing")[-1:])
    random = list(parser.get_parsed_content("augmentation"))
    lists = cohort.folds[fold]
    parser["seed"] = seed
    parser["device"] = torch.device("cpu")
    parser["pretrain_epochs"] = parser["train_epochs"] = epochs
    parser["target_statistics"] = cohort.statistics[fold]
    parser["train#dataset"] = CaseDataset(
        [cohort.items[case.case_id] for case in lists["training"]],
        Reseeded([*random, *packing]),
        seed=seed,
        progress=False,
    )
    parser["validate#dataloader"] = _batch(cohort, lists["validation"], packing)
    parser["validate#evaluator#_target_"] = parser["pretrain#evaluator#_target_"] = f"{__name__}.QuickEvaluator"
    for stage in ("pretrain", "train"):
        # One kernel an update instead of several a tensor.
        parser[f"{stage}#optimizer#fused"] = True
        handlers = parser[f"{stage}#handlers"]
        # In place of the others: the configuration names some handlers by their position.
        parser[f"{stage}#handlers"] = [_Nothing() if _is(each, *_LEFT_OUT) else each for each in handlers]
        named = [parser[each[1:]] if isinstance(each, str) else each for each in handlers]
        for handler in named:
            if _is(handler, "RecordHistory"):
                handler.update(history=history, path=None, every=_NEVER)
    return packing


def _batch(cohort: Cohort, cases: Sequence[Any], packing: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """The eyes as a loader of one batch: in evaluation mode a prediction does not depend on the others."""
    items = [cohort.items[case.case_id] for case in cases]
    for transform in packing:
        items = [transform(item) for item in items]
    return (dict(list_data_collate(items)),)


class QuickEvaluator(RegressionEvaluator):
    """Validation by the mean squared error alone: a dozen metrics cost more than the forward of a small network."""

    def _measure(self) -> dict[str, float]:
        columns = [name for name in self.table if name not in ("case_id", "target")]
        return {f"val_{name}_mse": float(((self.table[name] - self.table["target"]) ** 2).mean()) for name in columns}


class _Nothing:
    """A handler that does nothing."""

    def attach(self, engine: Any) -> None:
        """Nothing to register."""


def _is(handler: Any, *names: str) -> bool:
    return isinstance(handler, dict) and str(handler["_target_"]).rsplit(".", 1)[-1] in names


def _best_epochs(best: Any) -> dict[str, int]:
    if isinstance(best.best, dict):
        return {name: state.epoch for name, state in best.best.items()}
    return {"fusion": best.best.epoch}


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    columns = {name: [float(value) for value in table[name]] for name in ("fusion", *MODALITIES)}
    return {"case_id": list(table["case_id"]), **columns}
