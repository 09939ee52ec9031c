"""Losses of the common and of the rare cases of a batch, apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from medmd.balancing._balancer import Closure, Reduce, run
from medmd.balancing._gradients import (
    Gradients,
    Parameters,
    accumulate,
    add_gradients,
    average,
    average_values,
    has_graph,
)
from medmd.balancing._losses import Losses


def tail_loss(losses: Losses) -> Tensor:
    """The rare cases' part of the total; 0, with a graph, where the batch has none.

    Raises:
        ValueError: the closure does not say which cases are rare, or what each contributes.
    """
    contributions, tail = _apart(losses)
    return (contributions * tail).sum()


def head_loss(losses: Losses) -> Tensor:
    """The common cases' part of the total.

    Raises:
        ValueError: as `tail_loss`.
    """
    contributions, tail = _apart(losses)
    return (contributions * (1 - tail)).sum()


def _apart(losses: Losses) -> tuple[Tensor, Tensor]:
    if losses.per_sample is None or losses.tail is None:
        msg = (
            "expected losses with `per_sample` and `tail`; got none. In the bundle, set train#trainer#tail_threshold "
            "(a target below which a case is rare; @target_statistics has `tail_threshold`)."
        )
        raise ValueError(msg)
    return losses.per_sample, losses.tail.to(losses.per_sample.dtype)


@dataclass(frozen=True)
class HeadAndTail:
    """Gradients of both parts from one forward pass.

    Attributes:
        head: one gradient a trainable parameter, None where the part does not reach.
        tail: likewise.
        values: `loss`, `loss_fusion`, `loss_<modality>`, `loss_head`, `loss_tail`.
    """

    head: Gradients
    tail: Gradients
    values: dict[str, Tensor]

    @classmethod
    def compute(cls, closures: Sequence[Closure], parameters: Parameters, reduce: Reduce) -> HeadAndTail:
        """One forward pass and two backward passes a closure."""
        head: Gradients = [None] * len(parameters.trainable)
        tail: Gradients = list(head)
        values: dict[str, Tensor] = {}
        for closure in closures:
            losses = run(closure)
            total = losses.total({}).detach()
            parts = {"loss_head": head_loss(losses), "loss_tail": tail_loss(losses)}
            add_gradients(parts["loss_head"], parameters.trainable, head, retain=has_graph(parts["loss_tail"]))
            add_gradients(parts["loss_tail"], parameters.trainable, tail)
            found = {name: part.detach() for name, part in parts.items()}
            accumulate(values, {"loss": total, **losses.values(), **found})
        return cls(
            average(head, parameters.trainable, reduce),
            average(tail, parameters.trainable, reduce),
            average_values(values, reduce),
        )
