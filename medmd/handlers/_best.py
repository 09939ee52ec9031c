"""The best weights on validation, early stopping, and both again after a resume."""

from __future__ import annotations

import logging
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from medmd.handlers._average import WeightAverage
from medmd.handlers._fresh import FreshMetrics
from medmd.utils import MedmdError

_LOGGER = logging.getLogger(__name__)


class _BestState:
    """The lowest value seen, the epoch and weights that gave it, and for how many nothing was better."""

    def __init__(self) -> None:
        self.value = float("inf")
        self.epoch = 0
        self.waited = 0
        self.weights: dict[str, Tensor] = {}

    def update(self, value: float, epoch: int, module: nn.Module | dict[str, Tensor]) -> bool:
        """Take in one epoch; true when it is the best so far. A value that is not a number never is."""
        if value < self.value:
            self.value, self.epoch, self.waited = value, epoch, 0
            weights = module.state_dict() if isinstance(module, nn.Module) else module
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
            return True
        self.waited += 1
        return False

    def restore(self, module: nn.Module) -> None:
        """Put the best weights back; nothing happens when no epoch was measured."""
        if self.weights:
            module.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any], module: nn.Module) -> None:
        weights = dict(state["weights"])
        # They are used at the end of the stage, which is too late to learn that they fit no longer.
        wrong = _other_shapes(module.state_dict(), weights) if weights else []
        if wrong:
            msg = f"best weights: {', '.join(wrong[:3])} differ in name or shape from those of the network"
            raise ValueError(msg)
        self.value = float(state["value"])
        self.epoch = int(state["epoch"])
        self.waited = int(state["waited"])
        self.weights = weights


class KeepBest:
    """Keeps the weights of the epoch with the lowest validation value, stops when it no longer falls, restores them.

    MONAI needs the direction in three places, forgets the best value on a resume and then overwrites the best file with
    a worse epoch. Here value, epoch, patience and weights are one state, saved with every checkpoint.

    Args:
        evaluator: engine whose `state.metrics` holds `monitor` after each epoch of the trainer.
        network: whose weights are kept; at the end of the stage it holds the best ones.
        monitor: name of a metric, lower is better.
        patience: validations without a better value before the stage ends; `None` never ends it.
        average_weights: decay of a running mean of the weights (`WeightAverage`), which is then what is validated,
            kept and restored, while training goes on with the weights themselves; `None` for no mean.

    Raises:
        MedmdError: a decay outside (0, 1).
    """

    def __init__(
        self,
        *,
        evaluator: Engine,
        network: nn.Module,
        monitor: str = "val_fusion_mse",
        patience: int | None = None,
        average_weights: float | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.network = network
        self.monitor = monitor
        self.patience = patience
        self.best = _BestState()
        self._average = None if average_weights is None else WeightAverage(network, average_weights)
        self._fresh = FreshMetrics(evaluator)

    def attach(self, engine: Engine) -> None:
        """Register on the trainer, after the handler that runs the evaluator."""
        average = self._average
        if average is not None:
            engine.add_event_handler(Events.ITERATION_COMPLETED, lambda _: average.update())
            self.evaluator.add_event_handler(Events.STARTED, lambda _: average.swap_in())
            self.evaluator.add_event_handler(Events.COMPLETED, lambda _: average.swap_back())
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch)
        engine.add_event_handler(Events.COMPLETED, lambda _: self.best.restore(self.network))

    def _after_epoch(self, engine: Engine) -> None:
        metrics = self._fresh.take()
        if metrics is None:
            return
        measured = self.network if self._average is None else self._average.average
        self.best.update(_value(metrics, self.monitor), engine.state.epoch, measured)
        if self.patience is not None and self.best.waited >= self.patience:
            _LOGGER.info("No better %s since epoch %d: the stage ends early.", self.monitor, self.best.epoch)
            engine.terminate()

    def state_dict(self) -> dict[str, Any]:
        """Value, epoch, patience used and weights; their running mean when there is one."""
        average = {} if self._average is None else {"average": self._average.state_dict()}
        return {**self.best.state_dict(), **average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self.best.load_state_dict(state, self.network)
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def go_on(self) -> None:
        """Count patience anew, for a stage that had ended and is given more epochs; the best weights stay."""
        self.best.waited = 0


class KeepBestOfEach:
    """As `KeepBest`, for each modality of a `ContrastiveTrainer` by its own validation value.

    A modality that no longer improves is no longer trained, the others go on; the stage ends with the last of them. At
    its end every encoder and unimodal head holds its own best weights, from which stage 2 starts.

    Args:
        evaluator: engine whose `state.metrics` holds `val_<modality>_mse` after each epoch.
        patience: validations without a better value before a modality stops; `None` never stops it.
        metric: which of the modality's metrics, lower is better.
    """

    def __init__(self, *, evaluator: Engine, patience: int | None = None, metric: str = "mse") -> None:
        self.evaluator = evaluator
        self.patience = patience
        self.metric = metric
        self._fresh = FreshMetrics(evaluator)
        self.best: dict[str, _BestState] = {}
        self._modules: dict[str, nn.Module] = {}

    def attach(self, engine: Any) -> None:
        """Register on a `ContrastiveTrainer`, after the handler that runs the evaluator."""
        self.best = {track.name: _BestState() for track in engine.tracks}
        self._modules = {track.name: nn.ModuleList([track.encoder, track.head]) for track in engine.tracks}
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch)
        engine.add_event_handler(Events.COMPLETED, lambda _: self.restore())

    def _after_epoch(self, engine: Any) -> None:
        metrics = self._fresh.take()
        if metrics is None:
            return
        for track in engine.tracks.active:
            best = self.best[track.name]
            value = _value(metrics, f"val_{track.name}_{self.metric}")
            best.update(value, engine.state.epoch, self._modules[track.name])
            if self.patience is not None and best.waited >= self.patience:
                track.active = False
                _LOGGER.info(
                    "%s: no better validation since epoch %d, it is trained no further.", track.name, best.epoch
                )
        if not engine.tracks.active:
            engine.terminate()

    @torch.no_grad()
    def restore(self) -> None:
        """Put each modality's best weights into the network."""
        for name, best in self.best.items():
            best.restore(self._modules[name])

    def state_dict(self) -> dict[str, Any]:
        """By modality: value, epoch, patience used and weights."""
        return {name: best.state_dict() for name, best in self.best.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        for name, best in self.best.items():
            best.load_state_dict(state[name], self._modules[name])

    def go_on(self) -> None:
        """Count every modality's patience anew; their best weights stay."""
        for best in self.best.values():
            best.waited = 0


def _other_shapes(own: dict[str, Tensor], given: dict[str, Tensor]) -> list[str]:
    names = {**own, **given}
    return [str(name) for name in names if name not in own or name not in given or own[name].shape != given[name].shape]


def _value(metrics: dict[str, float], name: str) -> float:
    if name not in metrics:
        msg = (
            f"Validation has no metric {name!r}, it has {sorted(metrics)}. At least two validation cases with a target "
            "must hold the modality; a network without the modality has no such metric."
        )
        raise MedmdError(msg)
    return metrics[name]
