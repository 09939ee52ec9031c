"""One batch of cases as both stages use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from monai.engines.utils import IterationEvents, PrepareBatch
from torch import Tensor

from medmd.utils import MedmdError

# Forward, loss and backward are one call here: all three events follow it, with the iteration's output in the state.
AFTER_BACKWARD = (
    IterationEvents.FORWARD_COMPLETED,
    IterationEvents.LOSS_COMPLETED,
    IterationEvents.BACKWARD_COMPLETED,
)


@dataclass(frozen=True)
class ModalityBatch:
    """Inputs and target of B cases on one device.

    Attributes:
        inputs: by modality, float32, first axis B; rows of absent modalities hold zeros.
        present: (B, K) bool in the order of `inputs`, or `None` when every modality of every case is there. It stays on
            the host, where the network selects rows without a synchronisation.
        target: (B,) float32 in the target's unit, NaN where unknown; (B,) int64 of classes, below 0 where unknown;
            (B, T) of several tasks.
        case_ids: B pseudonyms.
        rows: by modality, the (n,) indices of the rows that are present, or `None` for all.
    """

    inputs: dict[str, Tensor]
    present: Tensor | None
    target: Tensor
    case_ids: list[str]
    rows: dict[str, Tensor | None]

    def __len__(self) -> int:
        return int(self.target.shape[0])

    def of(self, modality: str) -> tuple[Tensor, Tensor]:
        """Input and target of the rows in which `modality` is present."""
        rows = self.rows[modality]
        if rows is None:
            return self.inputs[modality], self.target
        return self.inputs[modality][rows], self.target[rows]

    def split(self, parts: int) -> Iterator[ModalityBatch]:
        """Cut into at most `parts` micro-batches of nearly equal size, in order."""
        parts = min(parts, len(self))
        edges = [len(self) * part // parts for part in range(parts + 1)]
        for start, stop in pairwise(edges):
            present = None if self.present is None else self.present[start:stop]
            inputs = {name: value[start:stop] for name, value in self.inputs.items()}
            yield ModalityBatch(
                inputs=inputs,
                present=present,
                target=self.target[start:stop],
                case_ids=self.case_ids[start:stop],
                rows=_rows(present, list(inputs), self.target.device),
            )

    def count(self, modality: str) -> int:
        """In how many rows `modality` is present."""
        rows = self.rows[modality]
        return len(self) if rows is None else len(rows)

    def views_of(self, modality: str, views: int) -> Tensor:
        """Where the views of each case stand among the rows of `of(modality)`.

        Args:
            modality: the input that is asked for.
            views: how many adjacent rows show one case.

        Returns:
            (views, n) positions; column by column a case. A case is left out unless all its views have the modality.

        Raises:
            MedmdError: neighbouring rows are not views of one case.
        """
        self._check_views(views)
        rows, device = self.rows[modality], self.target.device
        if rows is None or self.present is None:
            return torch.arange(len(self), device=device).reshape(-1, views).T
        there = self.present[:, list(self.inputs).index(modality)]
        position = (there.cumsum(0) - 1).reshape(-1, views)
        return position[there.reshape(-1, views).all(dim=1)].T.to(device)

    def _check_views(self, views: int) -> None:
        groups = [set(self.case_ids[start : start + views]) for start in range(0, len(self), views)]
        if len(self) % views or any(len(group) > 1 for group in groups):
            msg = (
                f"views: expected batches of {views} neighbouring rows of each case, got cases {self.case_ids}. Give "
                f"the stage's SeededSampler views={views} and a batch_size that is a multiple of it."
            )
            raise MedmdError(msg)


def require_batches(stage: str, loader: Any) -> None:
    """Refuse a loader that gives no batch: the stage would end at once, and its untrained network look like a result.

    Raises:
        MedmdError: the loader is empty.
    """
    if not hasattr(loader, "__len__") or len(loader):
        return
    cases, size = len(getattr(loader, "dataset", ())), getattr(loader, "batch_size", None)
    msg = f"{stage}: {cases} training cases give no batch of {size}; an incomplete batch is dropped. Lower batch_size."
    raise MedmdError(msg)


class PrepareModalities(PrepareBatch):
    """Turn what the data loader collated into a `ModalityBatch`.

    Args:
        modalities: the names of the inputs in the order in which `present` lists them.
    """

    def __init__(self, modalities: list[str] | tuple[str, ...]) -> None:
        self.modalities = tuple(modalities)

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> ModalityBatch:
        """Move the batch to `device`.

        Raises:
            MedmdError: a modality is not in the batch, or `present` has another number of columns.
        """
        missing = [name for name in self.modalities if name not in batchdata]
        if missing:
            msg = (
                f"The batch has no input {missing}; it has {sorted(batchdata)}. Name every modality of the network in "
                "the keys of the last transform, PackInputsd."
            )
            raise MedmdError(msg)

        def move(value: Tensor) -> Tensor:
            return torch.as_tensor(value).to(device=device, non_blocking=non_blocking, **kwargs)

        present = batchdata["present"]
        if present.shape[1:] != (len(self.modalities),):
            msg = (
                f"present: expected one column for each of {list(self.modalities)}, got shape {tuple(present.shape)}. "
                "The keys of PackInputsd must be the modalities of the network, in its order."
            )
            raise MedmdError(msg)
        complete = bool(present.all())
        return ModalityBatch(
            inputs={name: move(batchdata[name]) for name in self.modalities},
            present=None if complete else present,
            target=move(batchdata["target"]),
            case_ids=list(batchdata["case_id"]),
            rows=_rows(None if complete else present, self.modalities, device),
        )


def _rows(
    present: Tensor | None, modalities: tuple[str, ...] | list[str], device: str | torch.device | None
) -> dict[str, Tensor | None]:
    if present is None:
        return dict.fromkeys(modalities)
    return {name: present[:, column].nonzero().flatten().to(device) for column, name in enumerate(modalities)}
