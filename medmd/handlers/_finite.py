"""The end of a run whose losses or weights are no numbers, before anything of it is saved."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from ignite.engine import Events
from torch import Tensor

from medmd.engines import StepRecord
from medmd.handlers._diagnosis import advice, diagnose, is_loss
from medmd.handlers._history import Entry, RecordHistory
from medmd.handlers._replay import Fault, write_replay
from medmd.utils import MedmdError

_LOGGER = logging.getLogger(__name__)
# Parts of a trainer's state of which every number must be finite. A balancer marks empty places with NaN, and a queue
# may hold a label that is not known.
_VITAL = ("network", "optimizer", "tracks")
_NOT_VITAL = ("contrastive_loss", "scheduler")


class RequireFinite:
    """Ends a stage at a loss or weight that is NaN or infinite, says why, and keeps it out of every checkpoint.

    Losses are looked at when the recorder has brought them to the host anyway, every `log_every` iterations and at the
    end of an epoch: in between nothing waits for the device, and what the cases of those iterations gave stays there as
    small tensors. Weights, running statistics and the optimizer's memory are looked at at the end of each epoch and
    whenever a checkpoint asks this object for its state (which is empty), since a step may overflow with finite losses.

    With `nonfinite="skip"` the trainer itself takes such steps back; each is then told in the log, and only
    `max_skipped` of them in a row end the stage.

    Before the stage ends, a folder is written from which the step can be run again, see `write_replay`.

    Args:
        recorder: the recorder of the same trainer.
        stage: name of the stage.
        folder: of the run, for the replay; `None` writes none.
        max_skipped: skipped steps in a row that end the stage.

    Raises:
        MedmdError: `max_skipped` is below 1; (while training) a value is not finite. The text names stage, step, epoch,
            losses and cases, and what to try.
    """

    def __init__(
        self, *, recorder: RecordHistory, stage: str, folder: str | Path | None = None, max_skipped: int = 10
    ) -> None:
        if max_skipped < 1:
            msg = f"max_skipped must be at least 1, got {max_skipped}."
            raise MedmdError(msg)
        self.recorder = recorder
        self.stage = stage
        self.folder = None if folder is None else Path(folder)
        self.max_skipped = max_skipped
        self._engine: Any = None
        self._recent: list[StepRecord] = []

    def attach(self, engine: Any) -> None:
        """Register on the trainer before the handlers that validate and record, so that neither meets such weights."""
        self._engine = engine
        # Last among the listeners: whoever tracks the numbers hears of the bad one too.
        self.recorder.listeners.append(self._take)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._after_iteration)
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self.check())

    def check(self) -> None:
        """Look at the losses that were not looked at yet, and at all weights. This waits for the device.

        Raises:
            MedmdError: one is not finite.
        """
        if self._engine is None:
            return
        self.recorder.flush()
        bad = not_finite(self._engine)
        if bad:
            self._stop_at_weights(bad)

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep; asked for by a checkpoint, which must not be written when `check` raises.

        Raises:
            MedmdError: a loss or a weight is not finite.
        """
        self.check()
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing was kept."""

    @property
    def _skips(self) -> bool:
        return getattr(self._engine, "nonfinite", "stop") == "skip"

    def _after_iteration(self, engine: Any) -> None:
        if not self._skips:
            self._recent.append(engine.seen)
        elif engine.skipped.now:
            self._after_skip(engine.seen, engine.skipped)

    def _after_skip(self, record: StepRecord, skipped: Any) -> None:
        names = ", ".join(skipped.now)
        worst = max(skipped.in_a_row[name] for name in skipped.now)
        what = (
            f"{_losses(_bad(record.loss_values().items())) or 'a gradient that is not finite'}. {diagnose(record).text}"
        )
        if worst < self.max_skipped:
            total = sum(skipped.total.values())
            _LOGGER.warning(
                "%s: step %d skipped for %s, %d so far: %s", self.stage, record.iteration, names, total, what
            )
            return
        self._stop(record, f"{worst} steps in a row were skipped (max_skipped), the last with {what}")

    def _take(self, entries: list[Entry]) -> None:
        recent, self._recent = self._recent, []
        if self._skips:
            return
        bad = [entry for entry in entries if is_loss(entry.name) and not math.isfinite(entry.value)]
        if not bad:
            return
        first = min(entry.iteration for entry in bad)
        names = [(entry.name, entry.value) for entry in bad if entry.iteration == first]
        # The newest comes last: its numbers may have been read before this object was told of the step.
        record = next((each for each in [*recent, self._engine.seen] if each and each.iteration == first), None)
        self._stop(record, f"{_losses(names)}. {diagnose(record).text}", step=first)

    def _stop_at_weights(self, bad: list[str]) -> NoReturn:
        record = self._engine.seen
        shown = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        cases = "" if record is None else f" Its cases: {', '.join(dict.fromkeys(record.case_ids))}."
        self._stop(
            record,
            f"finite losses, but values that are not after it ({shown}): its gradient or its move overflowed.{cases}",
        )

    def _stop(self, record: StepRecord | None, what: str, *, step: int | None = None) -> NoReturn:
        state = self._engine.state
        number = record.iteration if record else step or state.iteration
        epoch = record.epoch if record else state.epoch
        group = self._engine.optimizer.param_groups[0]
        # As it was set: by now, a schedule may have brought it down, to 0 at the end of a stage.
        rate = group.get("initial_lr", group.get("lr"))
        help_ = advice(
            diagnose(record),
            learning_rate=None if rate is None else float(rate),
            gradient_clip=self._engine.gradient_clip,
        )
        text = f"{self.stage}: stopped at step {number} of epoch {epoch}: {what} Nothing was saved after it. {help_}"
        fault = Fault(stage=self.stage, step=number, epoch=epoch, text=text, record=record)
        raise MedmdError(f"{text} {self._replay(fault)}".strip())

    def _replay(self, fault: Fault) -> str:
        if self.folder is None:
            return ""
        try:
            place = write_replay(self.folder, fault, self.recorder.history)
        except OSError as error:
            return f"No replay could be written: {error}"
        return f"`python {place.relative_to(self.folder).as_posix()}` in the run's folder shows the step again."


def not_finite(engine: Any) -> list[str]:
    """The names of tensors in a trainer's state that hold NaN or infinity. This waits for the device."""
    parts = {name: part.state_dict() for name, part in engine.checkpointables().items() if name in _VITAL}
    tensors = [(name, value) for name, value in _tensors(parts) if value.is_floating_point()]
    if not tensors:
        return []
    fine = torch.stack([value.isfinite().all().to(tensors[0][1].device) for _, value in tensors])
    if bool(fine.all()):
        return []
    return [name for (name, _), is_fine in zip(tensors, fine.tolist(), strict=True) if not is_fine]


def _tensors(tree: Any, where: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        yield where, tree
        return
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        pairs = tree.items()
    elif isinstance(tree, (list, tuple)):
        pairs = enumerate(tree)
    for name, value in pairs:
        if name not in _NOT_VITAL:
            yield from _tensors(value, f"{where}.{name}" if where else str(name))


def _bad(values: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(name, value) for name, value in values if not math.isfinite(value)]


def _losses(values: list[tuple[str, float]]) -> str:
    """Names with values; of a sum only when none of its parts is the reason."""
    parts = [pair for pair in values if pair[0].rpartition("/")[2] != "loss"]
    shown = [f"{name} {value}" for name, value in parts or values]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
