"""Checkpoints from which a run goes on as if it had not stopped."""

from __future__ import annotations

import logging
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from medmd.utils import MedmdError, atomic_path

_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"^checkpoint-(\d{8})\.pt$")


class Checkpoint:
    """Saves a stage at the end of every epoch, and puts it back when the stage starts again.

    A stage that early stopping has ended stays ended. What the network holds after the stage (the best weights) is not
    in the file's weights, which are the last, but among its objects.

    A checkpoint holds what the trainer names in `checkpointables()` (weights, optimizer, schedule, balancer or
    tracks), the objects given here (history, best weights, tracking), and the counters. It is written to a temporary
    file, flushed and renamed, holds nothing but tensors, numbers and texts, and is read with `weights_only=True` after
    its checksums were compared. A file that does not pass gets another name, and the one before it is used.

    Args:
        folder: of this stage's checkpoints; only files that this handler wrote are ever removed from it.
        objects: further objects with `state_dict` and `load_state_dict`, by name.
        fingerprint: identifies configuration and data; a checkpoint with another one is refused.
        keep: how many of the newest checkpoints stay.
        every: iterations between checkpoints inside an epoch; 0 saves at the end of an epoch only.
        resume: whether to look for a checkpoint at the start. `False` moves a folder that holds some aside.

    Raises:
        MedmdError: (at the start) the newest checkpoint belongs to another configuration or other data.
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

    def attach(self, engine: Engine) -> None:
        """Register on the trainer as its last handler, so that what is saved includes the work of the others."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        if self.every:
            engine.add_event_handler(Events.ITERATION_COMPLETED(every=self.every), self._save_inside)

    def files(self) -> list[Path]:
        """The checkpoints that are there, oldest first."""
        found = [path for path in self.folder.glob("checkpoint-*.pt") if _NAME.match(path.name)]
        return sorted(found, key=lambda path: path.name)

    def _start(self, engine: Any) -> None:
        if not self.resume:
            self._move_aside()
        state = self._newest()
        if state is None:
            return
        for name, item in self._items(engine).items():
            item.load_state_dict(state["objects"][name])
        engine.state.iteration = state["iteration"]
        engine.state.epoch = state["epoch"]
        _LOGGER.info("%s: continues after epoch %d, step %d.", self.folder.name, state["epoch"], state["iteration"])
        if state["finished"]:
            engine.terminate()

    def _move_aside(self) -> None:
        if not self.files():
            return
        number = 1
        while self.folder.with_name(f"{self.folder.name}.{number}").exists():
            number += 1
        self.folder.rename(self.folder.with_name(f"{self.folder.name}.{number}"))

    def _newest(self) -> dict[str, Any] | None:
        for path in reversed(self.files()):
            if not _is_whole(path):
                _LOGGER.warning("%s is damaged; the one before it is used, if there is one.", path.name)
                # Under its name it would count as the newest, and a good one would be removed in its place.
                path.replace(path.with_name(f"{path.name}.damaged"))
                continue
            state = torch.load(path, map_location="cpu", weights_only=True)
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

    def _write(self, engine: Any, *, epoch: int, finished: bool) -> None:
        state = {
            "fingerprint": self.fingerprint,
            "iteration": engine.state.iteration,
            "epoch": epoch,
            "finished": finished,
            "objects": {name: item.state_dict() for name, item in self._items(engine).items()},
        }
        # Through a file object: given a path, torch writes that random name into the archive.
        path = self.folder / f"checkpoint-{engine.state.iteration:08d}.pt"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)
        for old in self.files()[: -self.keep]:
            old.unlink()


def _is_whole(path: Path) -> bool:
    """Whether every member of the archive that `torch.save` wrote has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except zipfile.BadZipFile:
        return False
