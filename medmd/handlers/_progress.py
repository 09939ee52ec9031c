"""How far a stage is, for the person who waits for it."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from ignite.engine import Engine, Events
from tqdm import tqdm

from medmd.handlers._fresh import FreshMetrics

_LOGGER = logging.getLogger(__name__)


class ShowProgress:
    """A bar with the time left on a terminal, and one line an epoch in the log.

    Args:
        stage: shown in front.
        evaluator: engine whose metrics the line of an epoch shows, or `None`.
        metrics: which of them, by name; those that are absent are left out. All that end in `_mae` by default.
    """

    def __init__(self, *, stage: str, evaluator: Engine | None = None, metrics: list[str] | None = None) -> None:
        self.stage = stage
        self.metrics = metrics
        self._fresh = FreshMetrics(evaluator)
        self._bar: tqdm | None = None
        self._start: float | None = None
        self._first = 0

    def attach(self, engine: Engine) -> None:
        """Register on the trainer, after the handler that runs the evaluator."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._report)
        engine.add_event_handler(Events.COMPLETED, lambda _: self._close())

    def _begin(self, engine: Any) -> None:
        # At the first epoch, not at the start: only now a resumed run has its counters.
        if self._start is not None:
            return
        self._start = time.monotonic()
        self._first = engine.state.iteration
        if sys.stderr.isatty():
            total = engine.state.max_epochs * engine.state.epoch_length
            self._bar = tqdm(total=total, initial=self._first, desc=self.stage, unit="step", leave=False)

    def _step(self, engine: Any) -> None:
        if self._bar is not None:
            self._bar.update()

    def _report(self, engine: Any) -> None:
        state = engine.state
        done = state.iteration - self._first
        left = state.max_epochs * state.epoch_length - state.iteration
        seconds = (time.monotonic() - (self._start or 0.0)) / max(done, 1) * left
        shown = ", ".join(f"{name} {value:.3f}" for name, value in self._values().items())
        _LOGGER.info(
            "%s: epoch %d of %d, about %.0f s left%s",
            self.stage,
            state.epoch,
            state.max_epochs,
            seconds,
            f", {shown}" if shown else "",
        )

    def _values(self) -> dict[str, float]:
        found = self._fresh.take() or {}
        names = [name for name in found if name.endswith("_mae")] if self.metrics is None else self.metrics
        return {name: found[name] for name in names if name in found}

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._start = None
