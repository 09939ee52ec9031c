"""What a run leaves: its predictions, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that has come to its end.

    Attributes:
        predictions: the table of predictions.
        history: means of each epoch, in long form.
        steps: of the optimizer, by stage and in total.
        epochs: by stage.
        best_epoch: the epoch that validation chose, by what it was chosen for.
        seconds: of wall clock and processor, of the training alone.
        parameters: of the network.
        summary: means over the steps of what the method logs.
        fingerprint: of what was computed.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame | None = None
    steps: dict[str, int] = field(default_factory=lambda: {"pretrain": 0, "train": 0, "total": 0})
    epochs: dict[str, int] = field(default_factory=dict)
    best_epoch: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    summary: dict[str, float] = field(default_factory=dict)
    fingerprint: str = ""

    def facts(self) -> dict[str, Any]:
        """What `result.json` says of it."""
        names = ("steps", "epochs", "best_epoch", "seconds", "parameters", "summary", "fingerprint")
        return {name: getattr(self, name) for name in names}
