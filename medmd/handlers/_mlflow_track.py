"""The handler that hands a recorder's numbers to the MLflow run."""

from __future__ import annotations

from ignite.engine import Engine, Events

from medmd.handlers._history import Entry, RecordHistory
from medmd.handlers._mlflow_run import MLflowRun, metric_name


class TrackMLflow:
    """Sends what a `RecordHistory` records to the MLflow run, a batch of many numbers at a time.

    One call costs some 25 ms on a local store, so that a call in each iteration would double the time of a small step.

    Args:
        run: the run.
        recorder: the recorder of the same trainer.
        every: numbers that gather before a call; the end of an epoch makes one too.
    """

    def __init__(self, *, run: MLflowRun, recorder: RecordHistory, every: int = 500) -> None:
        self.run = run
        self.recorder = recorder
        self.every = every
        self._waiting: list[Entry] = []
        self._sent: dict[str, int] = {}
        self._is_level = False
        recorder.listeners.append(self._take)
        run.flushes.append(self.flush)

    def attach(self, engine: Engine) -> None:
        """Register on the trainer, after the recorder."""
        engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self._level())
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self.flush())
        # A stage that was finished earlier only puts its weights back: it has no epoch.
        engine.add_event_handler(Events.COMPLETED, lambda _: self._complete())

    def _complete(self) -> None:
        self._level()
        self.flush()

    def _level(self) -> None:
        """Bring store and history of a resumed run to one level, once the checkpoint was read.

        A run that was stopped may have recorded numbers that it did not send, and sent numbers that come again since
        it goes on from an earlier iteration.
        """
        if not self._is_level and self.run.goes_on:
            self._sent = self.run.last_steps()
            self._waiting = [entry for entry in self.recorder.history if entry.stage == self.recorder.stage]
        self._is_level = True

    def _take(self, entries: list[Entry]) -> None:
        self._waiting.extend(entries)
        if len(self._waiting) >= self.every:
            self.flush()

    def flush(self) -> None:
        """Hand on what waits."""
        waiting, self._waiting = self._waiting, []
        new = [entry for entry in waiting if entry.iteration > self._sent.get(metric_name(entry), -1)]
        if new:
            self.run.log(new)
