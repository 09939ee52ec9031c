"""Checkpoints from which a run goes on as if it had not stopped."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from medmd.utils import MedmdError, atomic_path

_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"^checkpoint-(\d{8})\.pt$")


class Checkpoint:
    """Saves a stage at the end of every epoch, and puts it back when the stage starts again.

    A checkpoint holds what the trainer names in `checkpointables()` (weights, optimizer, schedule, balancer or
    tracks), the objects given here (history, best weights, tracking), and the counters. It is written to a temporary
    file, flushed and renamed, holds nothing but tensors, numbers and texts, and is read with `weights_only=True`.

    Args:
        folder: of this stage's checkpoints; only files that this handler names are ever removed from it.
        objects: further objects with `state_dict` and `load_state_dict`, by name.
        fingerprint: identifies configuration and data; a checkpoint with another one is refused.
        keep: how many of the newest checkpoints stay.
        every: iterations between checkpoints inside an epoch; 0 saves at the end of an epoch only.
        resume: whether to look for a checkpoint at the start.
    """

    def __init__(
        self,
        *,
        folder: str | Path,
        objects: dict[str, Any] | None = None,
        fingerprint: str = "",
        keep: int = 2,
        every: int = 0,
        resume: bool = True,
    ) -> None:
        self.folder = Path(folder)
        self.objects = dict(objects or {})
        self.fingerprint = fingerprint
        self.keep = max(1, keep)
        self.every = every
        self.resume = resume
        self._finished = False

    def attach(self, engine: Engine) -> None:
        """Register on the trainer as its last handler, so that what is saved includes the work of the others."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        if self.every:
            engine.add_event_handler(Events.ITERATION_COMPLETED(every=self.every), self._save_inside)

    def files(self) -> list[Path]:
        """The checkpoints that are there, oldest first."""
        found = [path for path in self.folder.glob("checkpoint-*.pt") if _NAME.match(path.name)]
        return sorted(found, key=lambda path: path.name)

    def _start(self, engine: Any) -> None:
        state = self._newest() if self.resume else None
        if state is None:
            return
        for name, item in self._items(engine).items():
            item.load_state_dict(state["objects"][name])
        engine.state.iteration = state["iteration"]
        engine.state.epoch = state["epoch"]
        _LOGGER.info("%s: continues after epoch %d, step %d.", self.folder.name, state["epoch"], state["iteration"])
        if state["finished"]:
            self._finished = True
            engine.terminate()

    def _newest(self) -> dict[str, Any] | None:
        for path in reversed(self.files()):
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except (RuntimeError, EOFError, OSError, ValueError) as error:
                _LOGGER.warning("%s cannot be read (%s); the one before it is used.", path.name, type(error).__name__)
                continue
            if state["fingerprint"] != self.fingerprint:
                msg = (
                    f"{path} belongs to another configuration or other data (fingerprint {state['fingerprint'][:12]}, "
                    f"now {self.fingerprint[:12]}). Choose another --output_dir, or start anew with --resume False."
                )
                raise MedmdError(msg)
            return dict(state)
        return None

    def _items(self, engine: Any) -> dict[str, Any]:
        return {**engine.checkpointables(), **self.objects}

    def _save(self, engine: Any) -> None:
        self._write(engine, epoch=engine.state.epoch, finished=bool(engine.should_terminate))

    def _save_inside(self, engine: Any) -> None:
        if engine.state.iteration % engine.state.epoch_length:
            # The counter of epochs counts finished ones: the interrupted epoch begins again, after what it has used.
            self._write(engine, epoch=engine.state.epoch - 1, finished=False)

    def _finish(self, engine: Any) -> None:
        """Mark the newest checkpoint: nothing is left to do.

        Its weights stay those of the last epoch although the network now holds the best ones (they are among the
        objects), so that the stage can still be continued for more epochs.
        """
        files = self.files()
        if self._finished or not files:
            return
        state = torch.load(files[-1], map_location="cpu", weights_only=True)
        self._save_state(files[-1], {**state, "finished": True})

    def _write(self, engine: Any, *, epoch: int, finished: bool) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "iteration": engine.state.iteration,
            "epoch": epoch,
            "finished": finished,
            "objects": {name: item.state_dict() for name, item in self._items(engine).items()},
        }
        self._save_state(self.folder / f"checkpoint-{engine.state.iteration:08d}.pt", state)
        for old in self.files()[: -self.keep]:
            old.unlink()

    @staticmethod
    def _save_state(path: Path, state: dict[str, Any]) -> None:
        with atomic_path(path) as temporary:
            torch.save(state, temporary)
