"""Handlers of MONAI and Ignite do on both trainers what they do on MONAI's own."""

import logging

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader
from monai.engines.utils import IterationEvents
from monai.handlers import (
    CheckpointLoader,
    CheckpointSaver,
    LrScheduleHandler,
    StatsHandler,
    ValidationHandler,
    from_engine,
)
from monai.handlers import MeanAbsoluteError as MonaiMeanAbsoluteError

from medmd.engines import RegressionEvaluator
from medmd.handlers import History, RecordHistory


@pytest.fixture(params=["contrastive", "fusion"])
def make(request, tiny):
    """A maker of either trainer on 8 cases of a fresh network, batches of 4."""

    def build(*, seed=0, **options):
        network = tiny.network(seed=seed)
        return network, getattr(tiny, request.param)(network, tiny.cases(8), **options)

    return build


def _lines(logger):
    found = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: found.append(record.getMessage())
    logger.addHandler(handler)
    return found


@pytest.mark.parametrize("decollate", [False, True])
def test_stats_handler_prints_the_loss(make, decollate):
    pick = from_engine(["loss"], first=True) if decollate else lambda output: output["loss"]
    handler = StatsHandler(name="stats", tag_name="loss", output_transform=pick)
    lines = _lines(handler.logger)
    recorder = RecordHistory(history=History(), stage="any")
    _, trainer = make(train_handlers=[handler, recorder], decollate=decollate)
    seen = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(float(pick(e.state.output))))
    trainer.run()

    assert len([line for line in lines if "loss:" in line]) == 2
    assert f"loss: {seen[0]:.4f}" in lines[0]
    totals = recorder.history.table().query("name in ['loss', 'oct/loss', 'fundus/loss']")
    assert totals.groupby("iteration")["value"].sum().tolist() == pytest.approx(seen, rel=1e-6)


def test_every_event_of_monai_fires_once_an_iteration_with_the_output(make):
    _, trainer = make()
    seen = []
    for event in IterationEvents.FORWARD_COMPLETED, IterationEvents.LOSS_COMPLETED, IterationEvents.MODEL_COMPLETED:
        trainer.add_event_handler(event, lambda e, event=event: seen.append((event.value, len(e.state.output["pred"]))))
    trainer.run()

    assert seen == [("forward_completed", 4), ("loss_completed", 4), ("model_completed", 4)] * 2


def test_validation_handler_runs_the_evaluator_every_epoch(make, tiny):
    network, trainer = make(max_epochs=3)
    evaluator = RegressionEvaluator(
        device="cpu", val_data_loader=DataLoader(tiny.cases(6, seed=1), batch_size=3), network=network
    )
    values = []
    evaluator.add_event_handler(Events.COMPLETED, lambda e: values.append(e.state.metrics["val_oct_mse"]))
    ValidationHandler(interval=1, validator=evaluator).attach(trainer)
    trainer.run()

    assert len(values) == 3
    assert len(set(values)) == 3
    assert network.training


def test_learning_rate_handler_steps_its_schedule(make):
    _, trainer = make(max_epochs=2)
    optimizer = trainer.optimizer
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
    LrScheduleHandler(lr_scheduler=scheduler, print_lr=False).attach(trainer)
    trainer.run()

    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-5)


def test_monais_metrics_work_as_training_metrics(make):
    metric = MonaiMeanAbsoluteError(output_transform=lambda output: (output["pred"][:, None], output["label"][:, None]))
    _, trainer = make(key_train_metric={"train_mae": metric})
    errors = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED,
        lambda e: errors.append((e.state.output["pred"] - e.state.output["label"]).abs().mean().item()),
    )
    trainer.run()

    assert trainer.state.metrics["train_mae"] == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_monais_checkpoints_load_again(make, tiny, tmp_path):
    network, trainer = make(max_epochs=2)
    saved = {"network": network, "trainer": trainer, **trainer.checkpointables()}
    CheckpointSaver(save_dir=str(tmp_path), save_dict=saved, save_final=True, final_filename="last.pt").attach(trainer)
    trainer.run()

    other, again = make(seed=1, max_epochs=4)
    loaded = {"network": other, "trainer": again, **again.checkpointables()}
    CheckpointLoader(load_path=str(tmp_path / "last.pt"), load_dict=loaded).attach(again)
    seen = []
    again.add_event_handler(Events.EPOCH_STARTED, lambda e: seen.append(e.state.epoch))
    weights = []
    again.add_event_handler(Events.EPOCH_STARTED(once=3), lambda _: weights.append(tiny.weights(other)))
    again.run()

    assert seen == [3, 4]
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in weights[0].items())
