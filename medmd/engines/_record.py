"""What a step saw and gave, case by case, for the moment when somebody must explain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from medmd.engines._batch import ModalityBatch

TARGET = "target"


@dataclass
class StepRecord:
    """A step's cases, predictions and losses: small tensors that stay on the device until they are asked for.

    Attributes:
        epoch: of the step, from 1.
        iteration: number of the step in its stage, from 1.
        case_ids: B pseudonyms.
        modalities: names of the inputs.
        present: (B, K) bool on the host in the order of `modalities`, or `None` when every modality is there.
        columns: parts of (B,) tensors by name: `target`; `input <modality>`, the sum of the case's input, which is
            finite when all of it is; `prediction <head>`. Of several numbers a row (classes, tasks) their sum. A row
            without the modality holds anything.
        losses: 0-d tensors by the name under which they are logged; of several micro-batches the sum.
    """

    epoch: int
    iteration: int
    case_ids: list[str]
    modalities: tuple[str, ...]
    present: Tensor | None
    columns: dict[str, list[Tensor]] = field(default_factory=dict)
    losses: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: ModalityBatch, state: Any) -> StepRecord:
        """The beginning of a record: inputs and targets of a batch at the engine's `state`."""
        columns = {TARGET: [_one_column(batch.target)]}
        columns |= {f"input {name}": [value.detach().flatten(1).sum(1)] for name, value in batch.inputs.items()}
        return cls(
            epoch=state.epoch,
            iteration=state.iteration,
            case_ids=batch.case_ids,
            modalities=tuple(batch.inputs),
            present=batch.present,
            columns=columns,
        )

    def predicted(self, values: Mapping[str, Tensor]) -> None:
        """Note (B,) predictions by head, or those of the next micro-batch."""
        for name, value in values.items():
            self.columns.setdefault(f"prediction {name}", []).append(_one_column(value.detach()))

    def lost(self, losses: Mapping[str, Tensor]) -> None:
        """Note 0-d losses, or add those of the next micro-batch."""
        for name, value in losses.items():
            known = self.losses.get(name)
            self.losses[name] = value.detach() if known is None else known + value.detach()

    def is_present(self, row: int, column: str) -> bool:
        """Whether the case of `row` has what `column` tells of; the fused prediction and the target always are."""
        name = column.partition(" ")[2]
        if self.present is None or name not in self.modalities:
            return True
        return bool(self.present[row, self.modalities.index(name)])

    def table(self) -> dict[str, list[float]]:
        """All columns on the host. This waits for the device."""
        return {name: torch.cat(parts).double().cpu().tolist() for name, parts in self.columns.items()}

    def loss_values(self) -> dict[str, float]:
        """The losses on the host. This waits for the device."""
        return {name: float(value) for name, value in self.losses.items()}


def spread(values: Tensor, rows: Tensor | None, length: int) -> Tensor:
    """(n, ...) values of `rows` as (length, ...), 0 elsewhere; all rows when `rows` is `None`."""
    if rows is None:
        return values
    return values.new_zeros(length, *values.shape[1:]).index_copy(0, rows, values)


def _one_column(values: Tensor) -> Tensor:
    return values if values.ndim == 1 else values.sum(dim=1)
