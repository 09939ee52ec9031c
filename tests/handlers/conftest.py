"""A whole stage in memory: seeded data with random transforms, trainer, handlers and checkpoints, in a second."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.handlers import ValidationHandler
from monai.transforms import Compose, RandGaussianNoised, RandShiftIntensityd

from medmd.data import CaseDataset, SeededSampler
from medmd.engines import ContrastiveTrainer, FusionTrainer, RegressionEvaluator, predict_table
from medmd.handlers import Checkpoint, History, KeepBest, KeepBestOfEach, RecordHistory, SeedIterations
from medmd.losses import AdaptiveMarginSupConLoss, SmapeR2Loss
from medmd.networks import MultimodalRegressor, SmallCnnEncoder, VectorEncoder
from medmd.transforms import PackInputsd

STATISTICS = {"mean": -8.0, "std": 4.0, "variance": 16.0, "tail_threshold": -12.0}
SHAPES = {"oct": (6,), "fundus": (3, 16, 16)}


class KilledError(Exception):
    """Stands for the end of the process."""


@dataclass
class Stage:
    """The parts of a stage that a test looks at."""

    trainer: Any
    network: MultimodalRegressor
    evaluator: RegressionEvaluator
    best: Any
    recorder: RecordHistory
    checkpoint: Checkpoint
    validation: DataLoader

    @property
    def history(self) -> History:
        return self.recorder.history

    def run(self, *, stop_at: int | None = None) -> Stage:
        """Train; with `stop_at` the process dies when that iteration is about to begin."""
        if stop_at is None:
            self.trainer.run()
            return self

        def kill(engine):
            if engine.state.iteration == stop_at:
                raise KilledError

        self.trainer.add_event_handler(Events.ITERATION_STARTED, kill)
        with pytest.raises(KilledError):
            self.trainer.run()
        return self

    def everything(self) -> dict[str, Any]:
        """All that a run leaves: state of the stage, final weights, history and predictions."""
        parts = {**self.trainer.checkpointables(), "best": self.best, "history": self.history}
        table = predict_table(self.network, self.validation, "cpu")
        return {
            "parts": {name: part.state_dict() for name, part in parts.items()},
            "iteration": self.trainer.state.iteration,
            "epoch": self.trainer.state.epoch,
            "table": table.drop(columns="case_id").to_numpy(),
            "cases": table["case_id"].tolist(),
        }


def leaves(tree: Any, where: str = "") -> dict[str, bytes | str]:
    """Every tensor and number of a nested state as its bytes, by place."""
    if isinstance(tree, dict):
        return {k: v for name, item in tree.items() for k, v in leaves(item, f"{where}/{name}").items()}
    if isinstance(tree, list | tuple):
        return {k: v for place, item in enumerate(tree) for k, v in leaves(item, f"{where}/{place}").items()}
    if isinstance(tree, torch.Tensor):
        return {where: tree.detach().contiguous().numpy().tobytes()}
    if isinstance(tree, np.ndarray):
        return {where: tree.tobytes()}
    return {where: struct.pack("d", tree) if isinstance(tree, float) else repr(tree)}


def make_items(number: int, *, seed: int, missing: dict[int, str] | None = None) -> list[dict]:
    random = np.random.RandomState(seed)
    items = []
    for index in range(number):
        target = float(-16 * random.rand())
        item = {name: (random.randn(*shape) + target / 8).astype(np.float32) for name, shape in SHAPES.items()}
        item.pop((missing or {}).get(index, ""), None)
        items.append({**item, "target": target, "case_id": f"c{index:03d}"})
    return items


def make_network(seed: int = 0) -> MultimodalRegressor:
    torch.manual_seed(seed)
    encoders = {
        "oct": VectorEncoder(in_features=6, hidden=[8], out_features=8, norm="batch", dropout=0.3),
        "fundus": SmallCnnEncoder(in_channels=3, planes=[4, 4, 4, 8]),
    }
    network = MultimodalRegressor(encoders)
    network.set_output_bias(STATISTICS["mean"])
    return network


def make_stage(
    folder: Path,
    *,
    stage: str = "train",
    epochs: int = 3,
    every: int = 0,
    keep: int = 2,
    patience: int | None = None,
    average_weights: float | None = None,
    interval: int = 1,
    fingerprint: str = "abc",
    identity: dict[str, Any] | None = None,
    resume: bool | str = "auto",
    workers: int = 0,
    views: int = 1,
    queue: int = 0,
    log_every: int = 2,
    init: int = 0,
    cases: int = 12,
    network: MultimodalRegressor | None = None,
    history: History | None = None,
    further: tuple[Any, ...] = (),
    before: tuple[Any, ...] = (),
    **options: Any,
) -> Stage:
    """A stage on `cases` cases, batches of 4. `init` seeds the first weights: a resumed stage must not need them."""
    network = network or make_network(init)
    pack = PackInputsd(list(SHAPES), SHAPES)
    noise = [RandGaussianNoised("oct", prob=0.8, allow_missing_keys=True)]
    noise += [RandShiftIntensityd("fundus", 0.5, prob=0.8, allow_missing_keys=True)]
    items = make_items(cases, seed=1, missing={1: "oct", 4: "fundus", 9: "oct"})
    dataset = CaseDataset(items, Compose([*noise, pack]), seed=7, progress=False)
    sampler = SeededSampler(len(dataset), seed=7, stage=stage, views=views)
    loader = DataLoader(dataset, sampler=sampler, batch_size=4, drop_last=True, num_workers=workers)
    held = CaseDataset(make_items(6, seed=2, missing={2: "fundus"}), Compose([pack]), seed=7, progress=False)
    validation = DataLoader(held, batch_size=4)
    evaluator = RegressionEvaluator(device="cpu", val_data_loader=validation, network=network)
    best: Any = KeepBest(evaluator=evaluator, network=network, patience=patience, average_weights=average_weights)
    if stage == "pretrain":
        best = KeepBestOfEach(evaluator=evaluator, patience=patience)
    recorder = RecordHistory(
        history=History() if history is None else history, stage=stage, every=log_every, evaluator=evaluator
    )
    checkpoint = Checkpoint(
        folder=folder,
        objects={"best": best, "history": recorder.history},
        fingerprint=fingerprint,
        identity=identity,
        keep=keep,
        every=every,
        resume=resume,
        evaluator=evaluator,
    )
    handlers = [
        SeedIterations(seed=7, stage=stage, sampler=sampler, batch_size=4),
        *(make(recorder) for make in before),
        ValidationHandler(interval=interval, validator=evaluator),
        best,
        recorder,
        *(make(recorder) if callable(make) else make for make in further),
        checkpoint,
    ]
    common = {
        "device": "cpu",
        "max_epochs": epochs,
        "train_data_loader": loader,
        "network": network,
        "loss_function": SmapeR2Loss(train_variance=16.0),
        "train_handlers": handlers,
    }
    build = _pretrain if stage == "pretrain" else _train
    trainer = build({**common, **options}, network, steps=epochs * len(loader), views=views, queue=queue)
    return Stage(trainer, network, evaluator, best, recorder, checkpoint, validation)


def _schedule(optimizer, steps):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)


def _pretrain(arguments, network, *, steps, views, queue):
    own = {
        "optimizer": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2),
        "scheduler": lambda optimizer: _schedule(optimizer, steps),
        "contrastive_loss": AdaptiveMarginSupConLoss(warmup_iterations=2, decay_rate=0.1, queue_size=queue),
        "target_statistics": STATISTICS,
        "projector_features": 4,
        "views": views,
    }
    return ContrastiveTrainer(**{**own, **arguments})


def _train(arguments, network, *, steps, views, queue):
    from medmd.balancing import SGM

    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    own = {"optimizer": optimizer, "scheduler": _schedule(optimizer, steps), "balancer": SGM(window_warmup=2, window=4)}
    return FusionTrainer(**{**own, **arguments})


@pytest.fixture
def stage():
    """`stage(folder, …) -> Stage`; see `make_stage`."""
    return make_stage


@pytest.fixture
def same():
    """Names of the leaves in which two states differ."""

    def differences(a: Any, b: Any) -> list[str]:
        first, second = leaves(a), leaves(b)
        return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))

    return differences


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An empty SQLite store: its schema takes seconds to make, copying it none."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlruns.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path.read_bytes()
