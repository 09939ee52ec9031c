"""Cross-entropy of classes, and the losses of several tasks, for a network's whole output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medmd.losses._inputs import check_range, full_precision, upcast

# Below this mean probability of the true class a score grows no further.
_LEAST_PROBABILITY = 1e-6


class ClassificationLoss(nn.Module):
    """Cross-entropy of every head: the fused one, and each modality's own over the rows in which it is present.

    Called with logits and classes it is the loss of one head, as stage 1 uses it; the trainer of stage 2 calls `losses`
    with all that the network puts out. Cases whose class is unknown (below 0) count nowhere.

    The scores that OGM-GE compares are those of its definition (Peng et al., CVPR 2022): s_u, the mean over the batch
    of the softmax probability that the modality's own logits give to the true class. `OGMGE` takes errors and forms
    s_u = 1 / (e_u + 1e-6), so what is handed over is e_u = 1 / s_u - 1e-6: the coefficient is then the paper's own,
    exactly for `momentum=0`; with a momentum the running mean is one of 1 / s_u, while micro-batches average s_u. The
    original sums over the batch and reads the logits off slices of the fused head; a mean is the same ratio where both
    modalities have every row.

    Args:
        label_smoothing: share of the target that is spread evenly over all classes, in [0, 1).

    Raises:
        ValueError: the share is outside its range.
    """

    inverse_scores = True

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = check_range("label_smoothing", label_smoothing, low=0.0, high=1.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The mean cross-entropy of a head.

        Args:
            logits: (B, C). Half precisions are computed in float32.
            target: (B,) indices of classes, below 0 where unknown; such rows may hold NaN.

        Returns:
            A scalar; 0, with its graph, when no class is known.

        Raises:
            ValueError: the shapes are not (B, C) and (B,).
        """
        _check_shapes(logits, target)
        with full_precision(logits.device):
            return _cross_entropy(upcast(logits), target.long(), self.label_smoothing)

    def losses(
        self, predictions: Any, target: Tensor, rows: Mapping[str, Tensor | None]
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """The objectives of one forward pass.

        Args:
            predictions: `fusion` (B, C) and by modality `unimodal` (B, C), NaN where absent.
            target: (B,) indices of classes.
            rows: by modality the (n,) indices of the rows that have it, or None for all.

        Returns:
            The fused loss, each modality's own (0 where there are no rows), and the detached scores e_u, NaN where
            there are no rows; larger is worse.
        """
        unimodal, scores = {}, {}
        for name, logits in predictions.unimodal.items():
            chosen = rows[name]
            found, known = (logits, target) if chosen is None else (logits[chosen], target[chosen])
            unimodal[name] = self(found, known)
            scores[name] = inverse_score(found.detach(), known)
        return self(predictions.fusion, target), unimodal, scores

    def counts(self, predictions: Any, target: Tensor, rows: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """By head (`fusion` and each modality), 0-d: how many of its cases are of known class."""
        known = target >= 0
        chosen = {"fusion": None, **{name: rows[name] for name in predictions.unimodal}}
        return {name: (known if found is None else known[found]).sum() for name, found in chosen.items()}


class MultitaskLoss(nn.Module):
    """The loss of each task of a `MultitaskNetwork`: cross-entropy of classes, squared error of numbers.

    There is no fused loss: balancers of two objectives set the first task against the sum of the others. It has no
    meaning for one head alone, so there is no stage 1. What is unknown of a case (a class below 0, NaN) counts nowhere.

    Args:
        scales: by task of a number, the standard deviation by which its errors are divided before they are squared, so
            that tasks of different units weigh alike; 1 by default.
        label_smoothing: as in `ClassificationLoss`.

    Raises:
        ValueError: an argument is outside its range.
    """

    def __init__(self, *, scales: Mapping[str, float] | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.scales = {
            name: check_range(f"scales#{name}", scale, low=0.0, open_low=True) for name, scale in (scales or {}).items()
        }
        self.label_smoothing = check_range("label_smoothing", label_smoothing, low=0.0, high=1.0)

    def losses(
        self, predictions: Any, target: Tensor, rows: Mapping[str, Tensor | None]
    ) -> tuple[None, dict[str, Tensor], dict[str, Tensor]]:
        """The tasks' losses.

        Args:
            predictions: by task in `unimodal` (B, C) logits or (B,) numbers, in the order of the target's columns.
            target: (B, T).
            rows: not looked at: an absent modality's token takes part in every task.

        Returns:
            None, each task's loss (0 where nothing is known), and no scores.

        Raises:
            ValueError: the target has not one column a task.
        """
        del rows
        tasks = predictions.unimodal
        if target.ndim != 2 or target.shape[1] != len(tasks):
            msg = (
                f"expected a target of shape (B, {len(tasks)}) for the tasks {list(tasks)}; got {tuple(target.shape)}."
            )
            raise ValueError(msg)
        with full_precision(target.device):
            columns = zip(tasks, target.T, strict=True)
            found = {name: self._task(name, upcast(tasks[name]), column) for name, column in columns}
        return None, found, {}

    def counts(self, predictions: Any, target: Tensor, rows: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """By task, 0-d: of how many cases it is known."""
        del rows
        columns = zip(predictions.unimodal.items(), target.T, strict=True)
        return {name: _known(prediction, column).sum() for (name, prediction), column in columns}

    def _task(self, name: str, prediction: Tensor, target: Tensor) -> Tensor:
        if prediction.ndim == 2:
            return _cross_entropy(prediction, target.long(), self.label_smoothing)
        known = _known(prediction, target)
        error = torch.where(known, prediction - torch.where(known, target, 0.0), 0.0) / self.scales.get(name, 1.0)
        return error.square().sum() / known.sum().clamp(min=1)


@torch.no_grad()
def inverse_score(logits: Tensor, target: Tensor) -> Tensor:
    """1 / s - 1e-6 of the mean probability s of the true class, 0-d; NaN when no class is known.

    Args:
        logits: (B, C).
        target: (B,) indices of classes, below 0 where unknown.
    """
    known = target >= 0
    probabilities = torch.softmax(upcast(logits), dim=1)
    of_true = probabilities.gather(1, target.long().clamp(min=0)[:, None]).squeeze(1)
    mean = torch.where(known, of_true, 0.0).sum() / known.sum()
    return 1 / mean.clamp(min=_LEAST_PROBABILITY) - 1e-6


def _cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    known = target >= 0
    # Selection before the arithmetic: NaN times zero is NaN, in the gradient too.
    logits = torch.where(known[:, None], logits, 0.0)
    each = functional.cross_entropy(logits, target.clamp(min=0), reduction="none", label_smoothing=smoothing)
    return torch.where(known, each, 0.0).sum() / known.sum().clamp(min=1)


def _known(prediction: Tensor, target: Tensor) -> Tensor:
    """(B,) bool: where a task's target (B,) is known, of classes (B, C) or of a number (B,)."""
    return target.long() >= 0 if prediction.ndim == 2 else ~target.isnan()


def _check_shapes(logits: Tensor, target: Tensor) -> None:
    if logits.ndim != 2 or target.ndim != 1 or len(logits) != len(target):
        msg = f"expected logits (B, C) and classes (B,); got {tuple(logits.shape)} and {tuple(target.shape)}."
        raise ValueError(msg)
