"""Which metrics of an evaluator are new: between two validations the old ones still stand in its state."""

from __future__ import annotations

from ignite.engine import Engine, Events


class FreshMetrics:
    """Hands out an evaluator's metrics once after each of its runs.

    Args:
        evaluator: engine with `state.metrics`, or `None`, which never has any.
    """

    def __init__(self, evaluator: Engine | None) -> None:
        self.evaluator = evaluator
        self._is_new = False
        if evaluator is not None:
            evaluator.add_event_handler(Events.COMPLETED, self._note)

    def _note(self) -> None:
        self._is_new = True

    def take(self) -> dict[str, float] | None:
        """The metrics of the run since the last call, or `None` when there was none."""
        if self.evaluator is None or not self._is_new:
            return None
        self._is_new = False
        return {name: float(value) for name, value in self.evaluator.state.metrics.items()}
