"""Checkpoints from which a run goes on as if it had not stopped."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from medmd.handlers._checkpoint_file import checkpoint_files, find_whole, read_checkpoint, require_own
from medmd.handlers._longer import FreshSchedules, revive
from medmd.utils import STOP, MedmdError, atomic_path, restore, warn_of_bad_numbers

_LOGGER = logging.getLogger(__name__)


class Checkpoint:
    """Saves a stage at the end of every epoch, and puts it back when the stage starts again.

    A stage that early stopping has ended stays ended. What the network holds after the stage (the best weights) is not
    in the file's weights, which are the last, but among its objects.

    A checkpoint holds what the trainer names in `checkpointables()` (weights, optimizer, schedule, balancer or
    tracks), the objects given here (history, best weights, tracking), and the counters. It is written to a temporary
    file, flushed and renamed, holds nothing but tensors, numbers and texts, and is read with `weights_only=True` after
    its checksums were compared. A file that does not pass gets another name, and the one before it is used.

    While `medmd.utils.STOP` is installed, a signal ends the stage after the step that runs, with a checkpoint of it.
    One that comes during validation breaks that off; it is done again at the next start.

    With more epochs than the run that wrote the checkpoint, the stage goes on under the schedule of the longer run (see
    `FreshSchedules`); if it had ended, early or not, patience begins anew.

    Args:
        folder: of this stage's checkpoints, named as the stage; only files that this handler wrote are removed from it.
        objects: further objects with `state_dict` and `load_state_dict`, by name.
        fingerprint: identifies configuration and data; a checkpoint with another one is refused.
        identity: what the fingerprint stands for, plain data without paths, so that a refusal can name what differs.
        keep: how many of the newest checkpoints stay.
        every: iterations between checkpoints inside an epoch; 0 saves at the end of an epoch only.
        resume: whether to look for a checkpoint at the start: `"auto"`; `True` refuses when there are some and all are
            damaged; `False` moves a folder that holds some aside.
        evaluator: the engine that the trainer's end of an epoch runs, to be ended by a signal too; or `None`.

    Raises:
        MedmdError: `every` is negative; (at the start) the newest checkpoint belongs to another configuration, other
            data or another stage, or has gone further than the epochs that are asked for.
    """

    def __init__(
        self,
        *,
        folder: str | Path,
        objects: dict[str, Any] | None = None,
        fingerprint: str = "",
        identity: Mapping[str, Any] | None = None,
        keep: int = 2,
        every: int = 0,
        resume: bool | str = "auto",
        evaluator: Engine | None = None,
    ) -> None:
        if every < 0:
            msg = f"checkpoint_every: expected a number of iterations, or 0 for the ends of epochs alone, got {every}."
            raise MedmdError(msg)
        self.folder = Path(folder)
        self.objects = dict(objects or {})
        self.fingerprint = fingerprint
        self.identity = dict(identity or {})
        self.keep = max(1, keep)
        self.every = every
        self.resume = resume
        self._is_cut = False
        if evaluator is not None:
            evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._cut_validation)

    def attach(self, engine: Engine) -> None:
        """Register on the trainer as its last handler, so that what is saved includes the work of the others."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._after_iteration)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._before_iteration)

    def files(self) -> list[Path]:
        """The checkpoints that are there, oldest first."""
        return checkpoint_files(self.folder)

    def _start(self, engine: Any) -> None:
        if self.resume is False:
            self._move_aside()
        path = find_whole(self.folder, insist=self.resume is True)
        if path is None:
            return
        state = read_checkpoint(path)
        require_own(path, state, fingerprint=self.fingerprint, identity=self.identity)
        is_longer = self._load(engine, state)
        _LOGGER.info("%s: continues after epoch %d, step %d.", self.folder.name, state["epoch"], state["iteration"])
        if state["finished"] and not is_longer:
            engine.terminate()
        elif state.get("in_validation"):
            # The steps of this epoch were made, its end was not.
            engine.fire_event(Events.EPOCH_STARTED)
            engine.fire_event(Events.EPOCH_COMPLETED)

    def _load(self, engine: Any, state: dict[str, Any]) -> bool:
        """Put everything back; true when the stage is now longer than it was planned."""
        planned, wanted = state.get("max_epochs", engine.state.max_epochs), engine.state.max_epochs
        if state["epoch"] > wanted:
            msg = f"{self.folder.name}: expected at least the {state['epoch']} epochs already trained, got {wanted}."
            raise MedmdError(msg)
        schedules = FreshSchedules(engine)
        for name, item in self._items(engine).items():
            restore(item, state["objects"].get(name), name=name, role="checkpoint")
        warn_of_bad_numbers(state["objects"].get("network", {}), role="checkpoint")
        engine.state.iteration = state["iteration"]
        engine.state.epoch = state["epoch"]
        if wanted == planned:
            return False
        changes = schedules.enter()
        has_ended = state["finished"] or state["epoch"] >= planned
        if has_ended:
            revive(engine, self.objects)
        self._tell(state, planned, wanted, changes)
        return True

    def _tell(self, state: dict[str, Any], planned: int, wanted: int, changes: list[tuple[float, float]]) -> None:
        rates = ", ".join(f"{before:.3g} to {now:.3g}" for before, now in changes)
        _LOGGER.info(
            "%s: %d epochs instead of %d: from the checkpoint after epoch %d on to epoch %d, %s%s.",
            self.folder.name,
            wanted,
            planned,
            state["epoch"],
            wanted,
            f"with the schedule of {wanted} epochs (learning rate from {rates})" if rates else "without a schedule",
            "; early stopping had ended it, patience begins anew" if state["finished"] else "",
        )

    def _move_aside(self) -> None:
        if not self.files():
            return
        number = 1
        while self.folder.with_name(f"{self.folder.name}.{number}").exists():
            number += 1
        self.folder.rename(self.folder.with_name(f"{self.folder.name}.{number}"))

    def _items(self, engine: Any) -> dict[str, Any]:
        return {**engine.checkpointables(), **self.objects}

    def _after_epoch(self, engine: Any) -> None:
        # Ended by patience, not by a signal, which asks for it only below.
        finished = bool(engine.should_terminate)
        self._write(engine, epoch=engine.state.epoch, finished=finished, in_validation=self._is_cut)
        if STOP.requested is not None:
            self._end(engine)

    def _after_iteration(self, engine: Any) -> None:
        is_asked, state = STOP.requested is not None, engine.state
        is_last = state.iteration % state.epoch_length == 0
        is_due = self.every and state.iteration % self.every == 0
        if is_asked or (is_due and not is_last):
            # The counter of epochs counts finished ones: the interrupted epoch begins again, after what it has used.
            epoch = state.epoch if is_last else state.epoch - 1
            self._write(engine, epoch=epoch, finished=False, in_validation=is_last)
        if is_asked:
            self._end(engine)

    def _before_iteration(self, engine: Any) -> None:
        """A signal that came while the batch was loaded: what was saved after the step before is all there is."""
        if STOP.requested is None:
            return
        if engine.state.iteration % engine.state.epoch_length:
            self._write(engine, epoch=engine.state.epoch - 1, finished=False)
        self._end(engine)

    def _end(self, engine: Any) -> None:
        _LOGGER.info("%s: ends on request after step %d.", self.folder.name, engine.state.iteration)
        engine.terminate(skip_completed=True)

    def _cut_validation(self, evaluator: Engine) -> None:
        if STOP.requested is not None:
            self._is_cut = True
            evaluator.terminate(skip_completed=True)

    def _write(self, engine: Any, *, epoch: int, finished: bool, in_validation: bool = False) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "identity": json.dumps(self.identity),
            "stage": self.folder.name,
            "iteration": engine.state.iteration,
            "epoch": epoch,
            "max_epochs": engine.state.max_epochs,
            "finished": finished,
            "in_validation": in_validation,
            "objects": {name: item.state_dict() for name, item in self._items(engine).items()},
        }
        # Through a file object: given a path, torch writes that random name into the archive.
        path = self.folder / f"checkpoint-{engine.state.iteration:08d}.pt"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)
        for old in self.files()[: -self.keep]:
            old.unlink()
