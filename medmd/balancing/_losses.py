"""What a closure returns: the losses of one forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """The losses of one forward pass, each a scalar with or without a graph.

    Attributes:
        fusion: loss of the fused prediction. None for multi-task use: the tasks then stand in `unimodal`.
        unimodal: loss of each modality's own head, by modality; 0 where the batch has no case with the modality.
        scores: detached mean absolute error of each modality's own prediction (OGM-GE); NaN where there is none.
        score_rows: by modality, how many rows its score is a mean of, a number or a 0-d tensor, by which several
            micro-batches or ranks are averaged; 1 where it is not given.
        inverse_scores: whether scores are 1 / s - 1e-6 of a mean s that rises with quality (the probability of the true
            class). It is then s that is averaged.
        per_sample: (B,) contributions that sum to the total (methods that treat head and tail apart).
        tail: (B,) bool, the cases of the distribution's tail.
    """

    fusion: Tensor | None
    unimodal: Mapping[str, Tensor]
    scores: Mapping[str, Tensor] = field(default_factory=dict)
    per_sample: Tensor | None = None
    tail: Tensor | None = None
    score_rows: Mapping[str, Tensor | float] = field(default_factory=dict)
    inverse_scores: bool = False

    def objectives(self, weights: Mapping[str, float]) -> tuple[Tensor | None, Tensor | None]:
        """The two sides of a conflict: the fused loss, and the weighted sum of the unimodal losses.

        Without a fused loss the first task takes its place and the others form the sum.

        Raises:
            ValueError: a weight names no loss, or a loss is no scalar.
        """
        unknown = set(weights) - set(self.unimodal)
        if unknown:
            msg = f"unimodal_weights: expected names among {sorted(self.unimodal)}; got {sorted(unknown)}."
            raise ValueError(msg)
        rest = [weights.get(name, 1.0) * scalar(loss, name) for name, loss in self.unimodal.items()]
        first = rest.pop(0) if self.fusion is None and rest else self.fusion
        return None if first is None else scalar(first, "fusion"), add(rest)

    def total(self, weights: Mapping[str, float]) -> Tensor:
        """The fused loss plus the weighted unimodal losses (Eq. 1 of Re-M3Dr).

        Raises:
            ValueError: there is no loss at all.
        """
        total = add([each for each in self.objectives(weights) if each is not None])
        if total is None:
            msg = "expected at least one loss; got neither a fused nor a unimodal one."
            raise ValueError(msg)
        return total

    def values(self) -> dict[str, Tensor]:
        """Detached losses by the name under which they are logged: `loss_fusion`, `loss_<modality>`."""
        fused = {} if self.fusion is None else {"fusion": self.fusion}
        return {f"loss_{name}": scalar(loss, name).detach() for name, loss in {**fused, **self.unimodal}.items()}


def scalar(loss: Tensor, name: str) -> Tensor:
    """The loss as a 0-d tensor of at least float32.

    Raises:
        ValueError: it has more or less than one element.
    """
    if loss.numel() != 1:
        msg = f"loss {name!r}: expected a scalar; got shape {tuple(loss.shape)}."
        raise ValueError(msg)
    loss = loss.reshape(())
    return loss.float() if loss.dtype in (torch.bfloat16, torch.float16) else loss


def add(losses: list[Tensor]) -> Tensor | None:
    """The sum, or None of nothing."""
    total: Tensor | None = None
    for loss in losses:
        total = loss if total is None else total + loss
    return total
