"""What happened in a run, number by number: kept on the device, read by the host only every n-th iteration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from ignite.engine import Engine, Events
from torch import Tensor

from medmd.handlers._fresh import FreshMetrics
from medmd.utils import MedmdError, atomic_path

COLUMNS = ["stage", "epoch", "iteration", "name", "value"]


class Entry(NamedTuple):
    """One number of the history."""

    stage: str
    epoch: int
    iteration: int
    name: str
    value: float


class History:
    """All logged numbers of a run, both stages, in the order in which they arose.

    Attributes:
        entries: what has reached the host.
        flushes: called before the history is saved or written, to bring what still waits on the device.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.flushes: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def add(self, entries: list[Entry]) -> None:
        """Append."""
        self.entries.extend(entries)

    def flush(self) -> None:
        """Bring what the recorders hold back, so that the history is complete up to this iteration."""
        for flush in self.flushes:
            flush()

    def table(self) -> pd.DataFrame:
        """Columns `stage`, `epoch`, `iteration`, `name`, `value`."""
        self.flush()
        return pd.DataFrame(self.entries, columns=COLUMNS)

    def write(self, path: str | Path) -> None:
        """Write the table as CSV, atomically, with floats that read back exactly."""
        with atomic_path(path) as temporary:
            self.table().to_csv(temporary, index=False)

    def state_dict(self) -> dict[str, Any]:
        """Columns as lists and a tensor, small and free of code."""
        self.flush()
        names = sorted({entry.name for entry in self.entries})
        stages = sorted({entry.stage for entry in self.entries})
        place = {name: position for position, name in enumerate(names)}
        return {
            "names": names,
            "stages": stages,
            "places": torch.tensor(
                [[stages.index(e.stage), e.epoch, e.iteration, place[e.name]] for e in self.entries], dtype=torch.int64
            ).reshape(-1, 4),
            "values": torch.tensor([entry.value for entry in self.entries], dtype=torch.float64),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave, in place of what is there."""
        names, stages = state["names"], state["stages"]
        self.entries = [
            Entry(stages[stage], epoch, iteration, names[name], value)
            for (stage, epoch, iteration, name), value in zip(
                state["places"].tolist(), state["values"].tolist(), strict=True
            )
        ]


class RecordHistory:
    """Takes the trainer's logs of every iteration and the evaluator's metrics of every epoch into the history.

    Numbers stay tensors on the device until `every` iterations have gathered; then one transfer brings them over. A
    synchronisation in each step would cost more than the step on a GPU.

    Args:
        history: where the numbers go.
        stage: name of the stage.
        every: iterations between two transfers; the end of an epoch makes one too.
        evaluator: engine with `state.metrics` to record at the end of an epoch, or `None`.
        path: CSV file to write at the end of each epoch, or `None`.
    """

    def __init__(
        self,
        *,
        history: History,
        stage: str,
        every: int = 10,
        evaluator: Engine | None = None,
        path: str | Path | None = None,
    ) -> None:
        if every < 1:
            msg = f"log_every must be at least 1, got {every}."
            raise MedmdError(msg)
        self.history = history
        self.stage = stage
        self.every = every
        self.evaluator = evaluator
        self.path = path
        self.listeners: list[Callable[[list[Entry]], None]] = []
        self._waiting: list[tuple[int, int, dict[str, Tensor]]] = []
        self._fresh = FreshMetrics(evaluator)
        history.flushes.append(self.flush)

    def attach(self, engine: Engine) -> None:
        """Register on the trainer, after the handler that runs the evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._after_iteration)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch)

    def _after_iteration(self, engine: Any) -> None:
        # Not from the output, which decollate=True takes apart case by case.
        logs = {name: value.detach() for name, value in engine.logs.items()}
        self._waiting.append((engine.state.epoch, engine.state.iteration, logs))
        if len(self._waiting) >= self.every:
            self.flush()

    def _after_epoch(self, engine: Engine) -> None:
        self.flush()
        metrics, state = self._fresh.take(), engine.state
        if metrics is not None:
            self._hand_on([Entry(self.stage, state.epoch, state.iteration, *pair) for pair in metrics.items()])
        if self.path is not None:
            self.history.write(self.path)

    def flush(self) -> None:
        """Bring what waits on the device to the host."""
        flat = [(epoch, it, name, value) for epoch, it, logs in self._waiting for name, value in logs.items()]
        self._waiting.clear()
        if not flat:
            return
        values = _to_host([value for *_, value in flat])
        self._hand_on(
            [Entry(self.stage, e, it, name, value) for (e, it, name, _), value in zip(flat, values, strict=True)]
        )

    def _hand_on(self, entries: list[Entry]) -> None:
        self.history.add(entries)
        for listener in self.listeners:
            listener(entries)


def _to_host(values: list[Tensor]) -> list[float]:
    """All in one transfer, in the widest type that the device knows."""
    device = values[-1].device
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return torch.stack([value.reshape(()).to(device, dtype) for value in values]).tolist()
